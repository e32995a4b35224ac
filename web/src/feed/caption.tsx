/** Who, what, and which sound: the words at the foot of a clip. */
import { useState } from "preact/hooks";
import { BadgeCheck, Music2 } from "lucide-preact";
import type { FeedItem } from "../api/types";
import { ago, t } from "../i18n/i18n";
import { links } from "../routing/router";

/** Longer texts fold behind "more". */
const FOLD_AT = 90;

export function Caption({ item }: { item: FeedItem }) {
  const [open, setOpen] = useState(false);
  const long = item.description !== "" || item.title.length + item.hashtags.join(" ").length > FOLD_AT;
  return (
    <div class={`caption ${open ? "is-open" : ""}`} data-testid="caption">
      <p class="caption-who">
        <a href={links.profile(item.user.username)}>@{item.user.username}</a>
        {item.user.verified && <BadgeCheck size={16} class="verified" aria-label="✓" />}
        <span class="caption-when">{ago(item.createdAtMs)}</span>
      </p>
      <div class="caption-text" dir="auto">
        <span class="caption-words">
          <strong>{item.title}</strong> {item.description}{" "}
          {item.hashtags.map((tag) => (
            <a key={tag} href={links.hashtag(tag)} class="hashtag">
              #{tag}{" "}
            </a>
          ))}
        </span>
        {long && (
          <button type="button" class="text-button" aria-expanded={open} onClick={() => setOpen(!open)} data-no-swipe>
            {t(open ? "less" : "more")}
          </button>
        )}
      </div>
      <SoundLine item={item} />
    </div>
  );
}

function SoundLine({ item }: { item: FeedItem }) {
  const name = item.sound ? [item.sound.title, item.sound.artist].filter(Boolean).join(" · ") : t("originalSound", { name: item.user.displayName });
  const line = (
    <>
      <Music2 size={14} aria-hidden="true" />
      <span dir="auto">{name}</span>
    </>
  );
  return item.sound ? (
    <a class="sound-line" href={links.sound(item.sound.id)}>
      {line}
    </a>
  ) : (
    <p class="sound-line">{line}</p>
  );
}
