/** Looks, language, playback, privacy, data and the account itself. */
import { useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { Ban, Camera, Download, LogOut, MonitorSmartphone, RotateCcw, Smile, Trash2 } from "lucide-preact";
import { api } from "../api/calls";
import type { AvatarView } from "../api/types";
import { tell } from "../feed/engagement";
import { LANGUAGES, language, t, useLanguage } from "../i18n/i18n";
import { installPrompt } from "../install";
import { Avatar } from "../parts/avatar";
import { Sheet } from "../parts/sheet";
import { toast } from "../parts/toast";
import { navigate } from "../routing/router";
import { prefer, preferences, type Saver, type Theme } from "../session/preferences";
import { forgetSession, me, refreshToken, updateMe } from "../session/session";
import { forgetFeeds } from "./feeds";
import { RestrictionsSheet } from "./restrictions";

export function SettingsScreen() {
  const user = me.value;
  return (
    <section class="page settings">
      <h1>{t("settings")}</h1>
      {user && <ProfileGroup key={user.id} />}
      <Looks />
      <Playback />
      {user && <FeedGroup />}
      {user && <AccountGroup />}
      {!user && (
        <a href="/login" class="button primary wide">
          {t("signIn")}
        </a>
      )}
    </section>
  );
}

function Group({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="group">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function ProfileGroup() {
  const [listing, setListing] = useState(false);
  const user = me.value!;
  const save = (event: SubmitEvent): void => {
    event.preventDefault();
    const values = new FormData(event.currentTarget as HTMLFormElement);
    const change = { displayName: String(values.get("displayName") ?? "").trim(), bio: String(values.get("bio") ?? "").trim() };
    api.updateMe(change).then((saved) => (updateMe(saved), toast(t("saved"))), tell);
  };
  const setPrivate = (on: boolean): void => {
    updateMe({ private: on });
    api.updateMe({ private: on }).catch((error: unknown) => {
      updateMe({ private: !on });
      tell(error);
    });
  };
  return (
    <>
      <Group title={t("editProfile")}>
        <AvatarRow />
        <form class="group-form" onSubmit={save}>
          <label class="field">
            <span>{t("displayName")}</span>
            <input name="displayName" defaultValue={user.displayName} maxLength={60} dir="auto" />
          </label>
          <label class="field">
            <span>{t("bio")}</span>
            <textarea name="bio" rows={2} maxLength={160} defaultValue={user.bio ?? ""} dir="auto" />
          </label>
          <button type="submit" class="button">
            {t("save")}
          </button>
        </form>
      </Group>
      <Group title={t("privacy")}>
        <Toggle label={t("privateAccount")} hint={t("privateAccountHint")} on={user.private ?? false} onChange={setPrivate} />
        <button type="button" class="option-row" onClick={() => setListing(true)}>
          <Ban size={20} aria-hidden="true" />
          <span>{t("blockedAndMuted")}</span>
        </button>
        {listing && <RestrictionsSheet onClose={() => setListing(false)} />}
      </Group>
    </>
  );
}

/** Sent as it is; the origin checks it, turns it upright, and makes squares of it. */
function AvatarRow() {
  const user = me.value!;
  const [busy, setBusy] = useState(false);
  const change = (asked: Promise<AvatarView>): void => {
    setBusy(true);
    asked
      .then(({ avatarSmallUrl }) => (updateMe({ avatarUrl: avatarSmallUrl }), toast(t("saved"))), tell)
      .finally(() => setBusy(false));
  };
  const choose = (event: Event): void => {
    const input = event.currentTarget as HTMLInputElement;
    const [file] = input.files ?? [];
    input.value = "";
    if (file) change(api.putAvatar(file));
  };
  return (
    <div class="avatar-row" aria-busy={busy}>
      <Avatar user={user} size={80} />
      <label class="button file-button">
        {busy ? <span class="spinner small" aria-hidden="true" /> : <Camera size={18} aria-hidden="true" />} {t("avatarChange")}
        <input type="file" class="visually-hidden" accept="image/jpeg,image/png,image/webp" disabled={busy} onChange={choose} />
      </label>
      {user.avatarUrl && (
        <button type="button" class="button outline" disabled={busy} onClick={() => change(api.removeAvatar())}>
          {t("avatarRemove")}
        </button>
      )}
    </div>
  );
}

function Looks() {
  const { theme, language: chosen } = preferences.value;
  const themes: [Theme, string][] = [["system", t("themeSystem")], ["dark", t("themeDark")], ["light", t("themeLight")]];
  const speak = (code: string): void => {
    prefer({ language: code });
    void useLanguage(code);
  };
  return (
    <Group title={t("appearance")}>
      <div class="option-row" role="radiogroup" aria-label={t("appearance")}>
        <div class="segmented wide">
          {themes.map(([value, label]) => (
            <button key={value} type="button" role="radio" aria-checked={theme === value} onClick={() => prefer({ theme: value })}>
              {label}
            </button>
          ))}
        </div>
      </div>
      <label class="option-row">
        <span>{t("language")}</span>
        <select value={chosen || language.value} onChange={(event) => speak(event.currentTarget.value)}>
          {LANGUAGES.map(({ code, name }) => (
            <option key={code} value={code}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {installPrompt.value && (
        <button type="button" class="option-row" onClick={() => void installPrompt.value?.prompt()}>
          <MonitorSmartphone size={20} aria-hidden="true" />
          <span>{t("installApp")}</span>
        </button>
      )}
    </Group>
  );
}

function Playback() {
  const { dataSaver, batterySaver, captions } = preferences.value;
  return (
    <Group title={t("playback")}>
      <SaverRow label={t("dataSaver")} hint={t("dataSaverHint")} chosen={dataSaver} onChoose={(mode) => prefer({ dataSaver: mode })} />
      <SaverRow label={t("batterySaver")} hint={t("batterySaverHint")} chosen={batterySaver} onChoose={(mode) => prefer({ batterySaver: mode })} />
      <Toggle label={t("captions")} on={captions} onChange={(on) => prefer({ captions: on })} />
    </Group>
  );
}

type SaverRowProps = { label: string; hint: string; chosen: Saver; onChoose: (mode: Saver) => void };

function SaverRow({ label, hint, chosen, onChoose }: SaverRowProps) {
  const modes: [Saver, string][] = [["auto", t("auto")], ["on", t("on")], ["off", t("off")]];
  return (
    <div class="option-row" role="radiogroup" aria-label={label}>
      <span>
        {label}
        <small>{hint}</small>
      </span>
      <div class="segmented">
        {modes.map(([value, words]) => (
          <button key={value} type="button" role="radio" aria-checked={chosen === value} onClick={() => onChoose(value)}>
            {words}
          </button>
        ))}
      </div>
    </div>
  );
}

function FeedGroup() {
  const reset = (): void => {
    api.steerFeed({ action: "reset" }).then(() => {
      forgetFeeds();
      toast(t("resetFeedDone"));
    }, tell);
  };
  return (
    <Group title={t("feedControls")}>
      <a class="option-row" href="/interests">
        <Smile size={20} aria-hidden="true" />
        <span>{t("chooseInterests")}</span>
      </a>
      <button type="button" class="option-row" onClick={reset}>
        <RotateCcw size={20} aria-hidden="true" />
        <span>
          {t("resetFeed")}
          <small>{t("resetFeedHint")}</small>
        </span>
      </button>
    </Group>
  );
}

function AccountGroup() {
  const [deleting, setDeleting] = useState(false);
  const leave = (words: string): void => {
    forgetSession();
    forgetFeeds();
    toast(words);
    navigate("/", { replace: true });
  };
  const signOut = (): void => {
    const token = refreshToken();
    if (token) void api.logout(token).catch(() => undefined); // offline: the tokens are forgotten here and run out there
    leave(t("signedOut"));
  };
  const exportData = (): void => {
    api.exportMe().then((data) => save(`popreel-${me.value?.username ?? "data"}.ndjson`, data), tell);
  };
  return (
    <Group title={t("account")}>
      <button type="button" class="option-row" onClick={exportData}>
        <Download size={20} aria-hidden="true" />
        <span>
          {t("exportData")}
          <small>{t("exportHint")}</small>
        </span>
      </button>
      <button type="button" class="option-row" onClick={signOut}>
        <LogOut size={20} aria-hidden="true" class="mirror" />
        <span>{t("signOut")}</span>
      </button>
      <button type="button" class="option-row is-danger" onClick={() => setDeleting(true)}>
        <Trash2 size={20} aria-hidden="true" />
        <span>
          {t("deleteAccount")}
          <small>{t("deleteAccountHint")}</small>
        </span>
      </button>
      {deleting && <DeleteAccount onClose={() => setDeleting(false)} onDone={() => leave(t("deletedAccount"))} />}
    </Group>
  );
}

function DeleteAccount({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const [typed, setTyped] = useState("");
  const sure = typed === me.value?.username;
  const remove = (event: Event): void => {
    event.preventDefault();
    const password = String(new FormData(event.currentTarget as HTMLFormElement).get("password") ?? "");
    if (sure) api.deleteMe(password).then(onDone, tell);
  };
  return (
    <Sheet title={t("deleteAccount")} onClose={onClose} class="sheet-center">
      <form onSubmit={remove} class="group-form">
        <p>{t("deleteAccountHint")}</p>
        <label class="field">
          <span>{t("deleteAccountConfirm")}</span>
          <input name="confirm" value={typed} autocomplete="off" placeholder={me.value?.username} onInput={(event) => setTyped(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>{t("password")}</span>
          <input name="password" type="password" autocomplete="current-password" maxLength={128} />
        </label>
        <button type="submit" class="button danger wide" disabled={!sure}>
          {t("deleteAccount")}
        </button>
      </form>
    </Sheet>
  );
}

function Toggle({ label, hint, on, onChange }: { label: string; hint?: string; on: boolean; onChange: (on: boolean) => void }) {
  return (
    <label class="option-row">
      <span>
        {label}
        {hint && <small>{hint}</small>}
      </span>
      <input type="checkbox" role="switch" class="switch" checked={on} onChange={(event) => onChange(event.currentTarget.checked)} />
    </label>
  );
}

function save(name: string, data: Blob): void {
  const url = URL.createObjectURL(data);
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
