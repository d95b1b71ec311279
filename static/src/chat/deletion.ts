/** Deleting a message, or an answer with its steps: asked for once, then gone for good. */
import { api, enc } from "../api/client";
import type { StoredMessage } from "../api/types";
import { t } from "../i18n";
import { confirm } from "../ui/dialog";
import { tell } from "../ui/toast";
import type { Conversation } from "./conversation";
import type { Part, Turn, UserPart } from "./turns";

const MOST_ROWS = 1000;

/** The id of any message of a turn. */
async function anchor(talk: Conversation, turn: Turn): Promise<number | undefined> {
  const own = turn.parts.value.find((part) => part.kind === "user" && part.messageId !== null) as UserPart | undefined;
  if (own) return own.messageId!;
  const rows = await api.get<StoredMessage[]>(`api/sessions/${enc(talk.id!)}/messages`, { limit: MOST_ROWS });
  return rows.find((row) => row.turn_id === turn.id)?.id;
}

/** Delete what a person said, or (without `own`) what the agent said and did for it. */
export async function remove(talk: Conversation, turn: Turn, own: UserPart | null): Promise<void> {
  const isSure = await confirm({ title: t(own ? "delete.message" : "delete.reply"), text: t("delete.text"), action: t("delete"), isDanger: true });
  if (!isSure || !talk.id) return;
  const { id } = talk;
  talk.isDeleting = true;
  try {
    const message = own?.messageId ?? (await anchor(talk, turn));
    if (message === undefined) return await talk.reload();
    await api.delete(`api/sessions/${enc(id)}/messages/${message}${own ? "" : "?scope=answer"}`);
    const isGone = (part: Part) => (own ? part === own : part.kind !== "user");
    turn.parts.value = turn.parts.value.filter((part) => !isGone(part));
    // Nothing is left of it: another version may be shown in its place.
    if (!turn.parts.value.length) {
      if (talk.branches.value.some((branch) => branch.turn_id === turn.id)) await talk.reload();
      else talk.turns.value = talk.turns.value.filter((each) => each !== turn);
    }
    document.querySelector<HTMLElement>(".log")?.focus({ preventScroll: true });
  } catch (error) {
    tell(error);
  } finally {
    talk.isDeleting = false;
  }
}
