/** Shapes of the HTTP API and of the socket's frames, as far as this page uses them. */
export interface User {
  id: string;
  display_name: string | null;
  role: "admin" | "user";
  filesystem_enabled: boolean;
}

export interface Session {
  id: string;
  created_at: string;
  last_message_at: string;
  is_closed: boolean;
  summary: string | null;
  title: string | null;
  message_count: number;
  channel: "main" | "telegram" | "email" | "slack";
  channel_session_key: string | null;
  user_id: string;
  is_read: boolean;
  is_archived: boolean;
  is_pinned: boolean;
  triggered_by: string | null;
}

export interface StoredMessage {
  id: number;
  session_id: string;
  role: "user" | "assistant" | "tool_use" | "tool_result";
  content: string;
  timestamp: string;
  turn_id: string | null;
}

export interface SessionHit {
  session_id: string;
  title: string | null;
  last_message_at: string;
  message_id: number | null;
  snippet: string;
  marks: [number, number][];
}

export interface Notice {
  id: number;
  kind: string;
  title: string;
  text: string;
  success: boolean;
  session_id: string | null;
  created_at: string;
  is_read: boolean;
}

export interface Skill {
  name: string;
  description: string;
}

export interface Attachment {
  file_name: string;
  mime_type: string;
  data: string;
}

/** A file of a conversation as the server keeps it. */
export interface SessionFile {
  id: string;
  turn_id: string | null;
  direction: "in" | "out";
  file_name: string;
  mime_type: string;
  size_bytes: number;
}

interface InTurn {
  session_id: string;
  turn_id: string;
  seq: number;
}

export interface StreamEnd {
  num_turns: number;
  cost_usd: number;
  input_tokens: number;
  output_tokens: number;
  cache_read_input_tokens: number;
  cache_creation_input_tokens: number;
  is_error: boolean;
  errors: string[];
  stopped: boolean;
  interrupted: boolean;
  model: string | null;
}

/** A turn as `turns` lists it; `input_tokens` is the part that was not cached. */
export interface TurnUsage {
  id: string;
  state: string;
  model: string | null;
  input_tokens: number;
  output_tokens: number;
  cache_read: number;
  cache_write: number;
  cost_usd: number;
}

export interface ApprovalRequest {
  approval_id: string;
  tool_use_id: string;
  name: string;
  input: Record<string, unknown>;
  subject: string | null;
  asked_at: string;
  expires_at: string;
}

export type TurnFrame = InTurn &
  (
    | { type: "stream_start" }
    | { type: "user_message"; text: string; message_id: number }
    | { type: "text_delta"; text: string }
    | { type: "tool_use"; id: string; name: string; input: Record<string, unknown> }
    | { type: "tool_result"; tool_use_id: string; content: string; is_error: boolean }
    | { type: "compaction"; messages_compacted: number }
    | ({ type: "approval_request" } & ApprovalRequest)
    | { type: "approval_result"; approval_id: string; tool_use_id: string; outcome: string; remember: string }
    | ({ type: "attachment" } & Attachment)
    | ({ type: "stream_end" } & StreamEnd)
  );

export type OtherFrame =
  | { type: "accepted"; client_message_id: string; session_id: string; turn_id: string; message_id: number; is_duplicate: boolean; is_follow_up: boolean }
  | { type: "error"; message: string; status?: number; client_message_id?: string; session_id?: string; retry_after?: number }
  | { type: "notification"; job_name: string; session_id: string; result_preview: string; success: boolean; job_id?: string; run_id?: string }
  | { type: "budget_notice"; text: string; level: number }
  | { type: "approval_waiting"; session_id: string; turn_id: string; approval_id: string; name: string; subject: string | null }
  | { type: "config_reloaded"; changed: string[]; restart_needed: string[] }
  | { type: "config_rejected"; file: string; line: number | null; reason: string }
  | { type: "instance_status_changed"; id: string; name: string; status: string; error: string | null }
  | { type: "usage"; session_id: string; turn_id: string; cost_usd: number; is_estimate: boolean }
  | { type: "session_changed"; session_id: string; is_running: boolean }
  | { type: "messages_deleted"; session_id: string; message_ids: number[] }
  | { type: "resync"; session_id: string; turn_id: string | null }
  | { type: "not_running"; session_id: string }
  | { type: "pong" };

export type ServerFrame = TurnFrame | OtherFrame;

export interface Branch {
  turn_id: string;
  parent_id: string | null;
  is_active: boolean;
}
