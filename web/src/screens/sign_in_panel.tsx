/** Signing in without leaving the clip that made you want to. */
import { useState } from "preact/hooks";
import { t } from "../i18n/i18n";
import { Sheet } from "../parts/sheet";
import { navigate } from "../routing/router";
import { gate, passGate } from "../session/gate";
import { LoginForm, SignUpForm } from "./account_forms";

export function SignInPanel() {
  const [mode, setMode] = useState<"login" | "signup">("login");
  const close = (): void => {
    gate.value = null;
  };
  return (
    <Sheet title={t(mode === "login" ? "signInToContinue" : "joinTitle")} onClose={close} class="sheet-center">
      {mode === "login" ? (
        <LoginForm key="login" onDone={passGate} />
      ) : (
        <SignUpForm
          key="signup"
          onDone={() => {
            passGate();
            navigate("/interests");
          }}
        />
      )}
      <p class="form-switch">
        {t(mode === "login" ? "noAccount" : "haveAccount")}{" "}
        <button type="button" class="text-button accent" onClick={() => setMode(mode === "login" ? "signup" : "login")}>
          {t(mode === "login" ? "signUp" : "signIn")}
        </button>
      </p>
    </Sheet>
  );
}
