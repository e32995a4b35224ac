/** A list of people in a panel: followers, those followed. */
import { useEffect, useState } from "preact/hooks";
import { Users } from "lucide-preact";
import { api } from "../api/calls";
import type { Creator } from "../api/types";
import { tell } from "../feed/engagement";
import { t } from "../i18n/i18n";
import { links } from "../routing/router";
import { Avatar } from "./avatar";
import { Sheet } from "./sheet";
import { Note, Spinner } from "./states";

type Props = { userId: string; side: "followers" | "following"; onClose: () => void };

export function PeopleSheet({ userId, side, onClose }: Props) {
  const [people, setPeople] = useState<Creator[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const load = (after: string | null): void => {
    api.people(userId, side, after).then(({ users, nextCursor }) => {
      setPeople((known) => [...(known ?? []), ...users]);
      setCursor(nextCursor);
    }, (error: unknown) => (setPeople((known) => known ?? []), tell(error)));
  };
  useEffect(() => load(null), [userId, side]);
  return (
    <Sheet title={t(side === "followers" ? "followersWord" : "followingWord")} onClose={onClose}>
      {people === null && <Spinner />}
      {people?.length === 0 && <Note inside icon={Users} title={t("nobodyYet")} />}
      <ul class="people">
        {people?.map((user) => (
          <li key={user.id}>
            <a href={links.profile(user.username)} onClick={onClose}>
              <Avatar user={user} size={48} />
              <span>
                <strong dir="auto">{user.displayName || user.username}</strong>
                <small>@{user.username}</small>
              </span>
            </a>
          </li>
        ))}
      </ul>
      {cursor && (
        <button type="button" class="text-button wide" onClick={() => load(cursor)}>
          {t("more")}
        </button>
      )}
    </Sheet>
  );
}
