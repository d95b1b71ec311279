/** Signing in with a key. What was written before stays where it was. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../api/client";
import { hasEnded, signIn } from "../app/auth";
import { boot } from "../app/boot";
import { t } from "../i18n";
import { Mark } from "../ui/icons";
import { Field } from "../ui/parts";

const LOOK_MS = 3000;

export function Login({ problem: first }: { problem: string | null }) {
  const [problem, setProblem] = useState(first);
  const [isBusy, setBusy] = useState(false);
  const [isAway, setAway] = useState(false);
  const key = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = `${t("login.title")} · ${boot.agent_name}`;
    key.current?.focus();
  }, []);
  // The shell opens without a network, too; then nobody is signed in, and no key would help.
  useEffect(() => {
    let isHere = true;
    const look = async () => {
      const found = await api.get<{ authenticated: boolean }>("api/auth/verify").catch(() => null);
      if (!isHere) return;
      setAway(!found);
      if (!found) setTimeout(() => void look(), LOOK_MS);
      else if (found.authenticated && !hasEnded.value) location.reload();
    };
    void look();
    return () => void (isHere = false);
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    const value = key.current!.value.trim();
    if (!value) return setProblem(t("login.empty"));
    setBusy(true);
    try {
      await signIn({ key: value });
    } catch (error) {
      setProblem((error as Error).message);
      setBusy(false);
      key.current?.select();
    }
  };
  return (
    <main class="sign-in" id="main">
      <Mark size={44} />
      <h1>{hasEnded.value ? t("login.again") : t("login.welcome", { name: boot.agent_name })}</h1>
      {hasEnded.value && <p>{t("login.kept")}</p>}
      {isAway && <p class="banner" role="status"><span class="spinner" />{t("login.away")}</p>}
      <form onSubmit={submit} noValidate>
        <Field label={t("login.key")} error={problem ?? undefined} help={t("login.help")}>
          {(ids) => <input ref={key} {...ids} type="password" name="key" autocomplete="current-password" spellcheck={false} placeholder="sp_live_…" />}
        </Field>
        <button class="button primary" disabled={isBusy}>{t("login.action")}</button>
      </form>
      <p class="quiet">{t("login.where")}</p>
    </main>
  );
}
