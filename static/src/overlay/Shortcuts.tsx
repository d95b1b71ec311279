/** The sheet of keyboard shortcuts. */
import { closeOverlay } from "../app/overlay";
import { LOCAL, SHORTCUTS, shown } from "../app/shortcuts";
import { t } from "../i18n";
import { Dialog } from "../ui/dialog";

export default function Shortcuts() {
  const all = [...SHORTCUTS.map(({ label, keys }) => [label, keys] as const), ...LOCAL];
  return (
    <Dialog title={t("keys.title")} onClose={closeOverlay} class="shortcuts">
      <dl>
        {all.map(([label, keys]) => [<dt key={label}>{t(label)}</dt>, <dd key={`${label}.keys`}><kbd>{shown(keys)}</kbd></dd>])}
      </dl>
    </Dialog>
  );
}
