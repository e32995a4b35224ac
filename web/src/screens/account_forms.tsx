/** Sign-in and sign-up forms, used by their own pages and by the panel over other screens. */
import { useId, useState } from "preact/hooks";
import { Eye, EyeOff } from "lucide-preact";
import type { ComponentChildren } from "preact";
import { api } from "../api/calls";
import { Problem } from "../api/http";
import { t } from "../i18n/i18n";
import { signIn } from "../session/session";

type FieldProps = {
  label: string;
  name: string;
  hint?: string;
  type?: string;
  autocomplete?: string;
  required?: boolean;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  max?: string;
  children?: ComponentChildren;
};

export function Field({ label, hint, children, ...input }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="field-box">
        <input id={id} {...input} aria-describedby={hint ? `${id}-hint` : undefined} dir={input.type === "password" ? "ltr" : "auto"} />
        {children}
      </div>
      {hint && <small id={`${id}-hint`}>{hint}</small>}
    </div>
  );
}

function PasswordField({ isNew }: { isNew: boolean }) {
  const [shown, setShown] = useState(false);
  const Picture = shown ? EyeOff : Eye;
  return (
    <Field
      label={t("password")}
      name="password"
      type={shown ? "text" : "password"}
      autocomplete={isNew ? "new-password" : "current-password"}
      required
      maxLength={128}
      {...(isNew ? { minLength: 10, hint: t("passwordHint") } : {})}
    >
      <button type="button" class="icon-button small" aria-label={t("showPassword")} aria-pressed={shown} onClick={() => setShown(!shown)}>
        <Picture size={18} aria-hidden="true" />
      </button>
    </Field>
  );
}

type FormProps = { submitLabel: string; onSubmit: (values: Record<string, string>) => Promise<void>; children: ComponentChildren };

/** Sends once at a time and shows what the API said in place. */
export function AccountForm({ submitLabel, onSubmit, children }: FormProps) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    if (busy) return;
    const values = Object.fromEntries([...new FormData(event.currentTarget as HTMLFormElement)].map(([key, value]) => [key, String(value)]));
    setBusy(true);
    setProblem(null);
    onSubmit(values)
      .catch((error: unknown) => setProblem(error instanceof Problem ? error.message : String(error)))
      .finally(() => setBusy(false));
  };
  return (
    <form class="account-form" onSubmit={submit}>
      {children}
      {problem && (
        <p class="form-problem" role="alert">
          {problem}
        </p>
      )}
      <button type="submit" class="button primary wide" disabled={busy}>
        {busy ? <span class="spinner small" aria-hidden="true" /> : submitLabel}
      </button>
    </form>
  );
}

export function LoginForm({ onDone }: { onDone: () => void }) {
  const submit = async ({ username = "", password = "" }: Record<string, string>): Promise<void> => {
    signIn(await api.login({ username: username.trim().replace(/^@/, ""), password }));
    onDone();
  };
  return (
    <AccountForm submitLabel={t("signIn")} onSubmit={submit}>
      <Field label={t("username")} name="username" autocomplete="username" required maxLength={64} />
      <PasswordField isNew={false} />
    </AccountForm>
  );
}

export function SignUpForm({ onDone }: { onDone: () => void }) {
  const submit = async (values: Record<string, string>): Promise<void> => {
    const { username = "", password = "", birthdate = "", displayName = "" } = values;
    const name = displayName.trim();
    signIn(await api.register({ username: username.trim().replace(/^@/, ""), password, birthdate, ...(name ? { displayName: name } : {}) }));
    onDone();
  };
  return (
    <AccountForm submitLabel={t("signUp")} onSubmit={submit}>
      <Field label={t("username")} name="username" autocomplete="username" required minLength={3} maxLength={24} hint={t("usernameHint")} />
      <Field label={t("displayName")} name="displayName" autocomplete="name" maxLength={60} />
      <PasswordField isNew />
      <Field
        label={t("birthdate")}
        name="birthdate"
        type="date"
        autocomplete="bday"
        required
        max={new Date().toISOString().slice(0, 10)}
        hint={t("birthdateHint")}
      />
    </AccountForm>
  );
}
