/** The shell around every screen: navigation, the sign-in panel, messages; screens beyond the feed load on demand. */
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "./i18n/i18n";
import { Spinner } from "./parts/states";
import { Toasts } from "./parts/toast";
import { type Match, route, type RouteName } from "./routing/router";
import { FollowingScreen, ForYouScreen } from "./screens/feeds";
import { BottomBar, SideBar } from "./screens/navigation";
import { SignInPanel } from "./screens/sign_in_panel";
import { gate } from "./session/gate";

export type Screen = ComponentType<{ match: Match }>;

/** Everything but the feed is its own chunk: the first load carries only what the first picture needs. */
const screens: Record<RouteName, Screen | (() => Promise<Screen>)> = {
  feed: ForYouScreen,
  following: FollowingScreen,
  video: () => import("./screens/video").then((module) => module.VideoScreen),
  profile: () => import("./screens/profile").then((module) => module.ProfileScreen),
  hashtag: () => import("./screens/collections").then((module) => module.HashtagScreen),
  sound: () => import("./screens/collections").then((module) => module.SoundScreen),
  search: () => import("./screens/search").then((module) => module.SearchScreen),
  discover: () => import("./screens/search").then((module) => module.SearchScreen),
  upload: () => import("./screens/upload").then((module) => module.UploadScreen),
  inbox: () => import("./screens/inbox").then((module) => module.InboxScreen),
  studio: () => import("./screens/studio").then((module) => module.StudioScreen),
  settings: () => import("./screens/settings").then((module) => module.SettingsScreen),
  login: () => import("./screens/account").then((module) => module.LoginScreen),
  signup: () => import("./screens/account").then((module) => module.SignUpScreen),
  interests: () => import("./screens/account").then((module) => module.InterestsScreen),
  missing: () => import("./screens/missing").then((module) => module.MissingScreen),
};
const EAGER = new Set<RouteName>(["feed", "following"]);
const IMMERSIVE = new Set<RouteName>(["feed", "following", "video"]);

export function App() {
  const match = route.value;
  const immersive = IMMERSIVE.has(match.name);
  useEffect(() => {
    document.documentElement.classList.toggle("is-immersive", immersive);
  }, [immersive]);
  return (
    <div class={`shell ${immersive ? "is-immersive" : ""}`}>
      <a class="skip-link" href="#content">
        {t("skipToContent")}
      </a>
      <SideBar match={match} />
      <main id="content" class="content" tabIndex={-1}>
        <CurrentScreen key={keyOf(match)} match={match} />
      </main>
      <BottomBar match={match} />
      {gate.value && <SignInPanel />}
      <Toasts />
    </div>
  );
}

/** Going from one profile to another is a new screen; typing in the search box is not. */
function keyOf({ name, params }: Match): string {
  return `${name}:${Object.values(params).join(":")}`;
}

function CurrentScreen({ match }: { match: Match }) {
  const entry = screens[match.name];
  const [Loaded, setLoaded] = useState<{ Screen: Screen } | "failed" | null>(
    EAGER.has(match.name) ? { Screen: entry as Screen } : null,
  );
  useEffect(() => {
    if (Loaded !== null) return;
    let here = true;
    (entry as () => Promise<Screen>)().then(
      (Screen) => here && setLoaded({ Screen }),
      () => here && setLoaded("failed"),
    );
    return () => {
      here = false;
    };
  }, [entry, Loaded]);
  if (Loaded === null) return <Spinner />;
  if (Loaded === "failed") return <p class="note">{t("offline")}</p>;
  return <Loaded.Screen match={match} />;
}
