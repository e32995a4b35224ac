/** Sign-in, sign-up and interests as pages of their own. */
import { useState } from "preact/hooks";
import {
  AudioLines, Bike, BookOpen, Car, Check, ChefHat, Clapperboard, Cpu, Dumbbell, FlaskConical, Gamepad2, Hammer, Laugh, Leaf,
  type LucideIcon, Music, Palette, PawPrint, Plane, Shirt, Sparkles, Trophy,
} from "lucide-preact";
import { api } from "../api/calls";
import { tell } from "../feed/engagement";
import { type Key, t } from "../i18n/i18n";
import { Logo } from "../parts/logo";
import { navigate } from "../routing/router";
import { LoginForm, SignUpForm } from "./account_forms";
import { forgetFeeds } from "./feeds";

export function LoginScreen() {
  return (
    <section class="account-page">
      <Logo size={56} />
      <h1>{t("welcomeBack")}</h1>
      <LoginForm onDone={() => navigate("/", { replace: true })} />
      <p class="form-switch">
        {t("noAccount")} <a href="/signup">{t("signUp")}</a>
      </p>
    </section>
  );
}

export function SignUpScreen() {
  return (
    <section class="account-page">
      <Logo size={56} />
      <h1>{t("joinTitle")}</h1>
      <p class="lead">{t("joinHint")}</p>
      <SignUpForm onDone={() => navigate("/interests", { replace: true })} />
      <p class="form-switch">
        {t("haveAccount")} <a href="/login">{t("signIn")}</a>
      </p>
    </section>
  );
}

/** Words sent as they are: the PoP matches them against hashtags and the text space. */
const INTERESTS: readonly (readonly [string, LucideIcon])[] = [
  ["animals", PawPrint], ["animation", Clapperboard], ["art", Palette], ["beauty", Sparkles], ["comedy", Laugh],
  ["cooking", ChefHat], ["cycling", Bike], ["dance", AudioLines], ["diy", Hammer], ["fashion", Shirt], ["fitness", Dumbbell],
  ["football", Trophy], ["gaming", Gamepad2], ["learning", BookOpen], ["music", Music], ["nature", Leaf],
  ["science", FlaskConical], ["tech", Cpu], ["travel", Plane], ["vehicles", Car],
];

export function InterestsScreen() {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [busy, setBusy] = useState(false);
  const toggle = (word: string): void => {
    const next = new Set(chosen);
    if (!next.delete(word)) next.add(word);
    setChosen(next);
  };
  const leave = (): void => {
    forgetFeeds();
    navigate("/", { replace: true });
  };
  const send = (): void => {
    setBusy(true);
    api.interests([...chosen]).then(leave, (error: unknown) => {
      setBusy(false);
      tell(error);
    });
  };
  return (
    <section class="account-page interests">
      <h1>{t("interestsTitle")}</h1>
      <p class="lead">{t("interestsHint")}</p>
      <div class="chips" role="group" aria-label={t("interestsTitle")}>
        {INTERESTS.map(([word, Picture]) => (
          <button key={word} type="button" class="chip" aria-pressed={chosen.has(word)} onClick={() => toggle(word)}>
            <span aria-hidden="true">{chosen.has(word) ? <Check size={18} strokeWidth={3} /> : <Picture size={18} />}</span>
            {t(`interest_${word}` as Key)}
          </button>
        ))}
      </div>
      <div class="row-actions">
        <button type="button" class="button" onClick={leave}>
          {t("skip")}
        </button>
        <button type="button" class="button primary" disabled={chosen.size < 3 || busy} onClick={send}>
          {t("continue")}
        </button>
      </div>
    </section>
  );
}
