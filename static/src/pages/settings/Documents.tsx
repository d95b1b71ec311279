/** Files that say who the agent is and what it does: plain markdown, edited here. */
import { useState } from "preact/hooks";
import { api } from "../../api/client";
import { type Key, t } from "../../i18n";
import { Card, Failure, Segments, useLoaded } from "../../ui/parts";
import { tell, toast } from "../../ui/toast";
import { SaveBar, useLeaveGuard } from "./Form";

function Document({ name }: { name: string }) {
  const loaded = useLoaded(() => api.get<{ content: string }>(`api/settings/files/${name}`), [name]);
  const [text, setText] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const isDirty = text !== null && text !== loaded.data?.content;
  useLeaveGuard(isDirty);
  if (loaded.problem) return <Failure text={loaded.problem} retry={loaded.reload} />;
  const save = async () => {
    setBusy(true);
    try {
      await api.put(`api/settings/files/${name}`, { content: text });
      loaded.set({ content: text! });
      setText(null);
      toast(t("settings.saved"));
    } catch (error) {
      tell(error);
    }
    setBusy(false);
  };
  return (
    <form onSubmit={(event) => { event.preventDefault(); void save(); }}>
      <textarea class="code-area" aria-label={name} disabled={!loaded.data} value={text ?? loaded.data?.content ?? ""} onInput={(event) => setText(event.currentTarget.value)} />
      <SaveBar isDirty={isDirty} isBusy={isBusy} onDiscard={() => setText(null)} />
    </form>
  );
}

export function Documents({ names }: { names: string[] }) {
  const [name, setName] = useState(names[0]!);
  return (
    <Card title={t("settings.documents")}>
      {names.length > 1 && <Segments label={t("settings.documents")} value={name} onChange={setName} options={names.map((each) => [each, each])} />}
      <p class="quiet">{t(`document.${name}` as Key)}</p>
      <Document name={name} key={name} />
    </Card>
  );
}
