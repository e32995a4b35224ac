/** The bar below on a phone, the bar at the side on a desk. */
import { Bell, Clapperboard, Compass, House, Plus, Settings, UserRound, Users, type LucideIcon } from "lucide-preact";
import { t } from "../i18n/i18n";
import { Avatar } from "../parts/avatar";
import { Logo } from "../parts/logo";
import { links, type Match, type RouteName } from "../routing/router";
import { withAccount } from "../session/gate";
import { me } from "../session/session";

type Entry = { href: string; label: string; icon: LucideIcon; names: RouteName[] };

const home = (): Entry => ({ href: "/", label: t("home"), icon: House, names: ["feed"] });
const discover = (): Entry => ({ href: "/discover", label: t("discover"), icon: Compass, names: ["discover", "search", "hashtag", "sound"] });
const inbox = (): Entry => ({ href: "/inbox", label: t("inbox"), icon: Bell, names: ["inbox"] });

function profileHref(): string {
  return me.value ? links.profile(me.value.username) : "/login";
}

function isMine(match: Match): boolean {
  return match.name === "profile" && match.params.name === me.value?.username;
}

function NavLink({ entry, match, current }: { entry: Entry; match: Match; current?: boolean }) {
  const here = current ?? entry.names.includes(match.name);
  const Picture = entry.icon;
  return (
    <a href={entry.href} class={`nav-link ${here ? "is-current" : ""}`} aria-current={here ? "page" : undefined}>
      <Picture size={26} strokeWidth={here ? 2.4 : 1.9} aria-hidden="true" />
      <span>{entry.label}</span>
    </a>
  );
}

export function BottomBar({ match }: { match: Match }) {
  const profile: Entry = { href: profileHref(), label: t("profile"), icon: UserRound, names: ["login", "signup"] };
  return (
    <nav class="bottom-bar" aria-label={t("mainNavigation")}>
      <NavLink entry={home()} match={match} />
      <NavLink entry={discover()} match={match} />
      <a href="/upload" class="create-link" aria-label={t("create")} aria-current={match.name === "upload" ? "page" : undefined}>
        <Plus size={24} strokeWidth={2.6} aria-hidden="true" />
      </a>
      <NavLink entry={inbox()} match={match} />
      <NavLink entry={profile} match={match} current={isMine(match) || profile.names.includes(match.name)} />
    </nav>
  );
}

export function SideBar({ match }: { match: Match }) {
  const user = me.value;
  return (
    <div class="side-bar">
      <a href="/" class="brand" aria-label={t("appName")}>
        <Logo size={34} />
        <span>popreel</span>
      </a>
      <nav aria-label={t("mainNavigation")}>
        <NavLink entry={{ ...home(), label: t("forYou") }} match={match} />
        <NavLink entry={{ href: "/following", label: t("following"), icon: Users, names: ["following"] }} match={match} />
        <NavLink entry={discover()} match={match} />
        <NavLink entry={inbox()} match={match} />
        {user && <NavLink entry={{ href: "/studio", label: t("studio"), icon: Clapperboard, names: ["studio"] }} match={match} />}
        <NavLink entry={{ href: "/settings", label: t("settings"), icon: Settings, names: ["settings"] }} match={match} />
      </nav>
      <a href="/upload" class="button primary create-wide">
        <Plus size={20} strokeWidth={2.6} aria-hidden="true" /> {t("create")}
      </a>
      <div class="side-foot">
        {user ? (
          <a href={links.profile(user.username)} class={`side-me ${isMine(match) ? "is-current" : ""}`}>
            <Avatar user={user} size={40} />
            <span>
              <strong dir="auto">{user.displayName || user.username}</strong>
              <small>@{user.username}</small>
            </span>
          </a>
        ) : (
          <>
            <p>{t("joinHint")}</p>
            <button type="button" class="button outline wide" onClick={() => withAccount(() => undefined)}>
              {t("signIn")}
            </button>
          </>
        )}
      </div>
    </div>
  );
}
