// The plain page: sign in, chat over one socket that resumes where it was. Text only ever becomes text nodes.
const $ = (id) => document.getElementById(id);
const log = $("log");
const stateLine = $("state");
let socket = null;
let retryMs = 500;
let turn = null; // {session, id, seq, element} while an answer streams
let sessionId = null; // the conversation this page shows
const waiting = []; // messages not yet acknowledged: sent again after a reconnect, told apart by their id
const conversation = sessionStorage.getItem("conversation") || crypto.randomUUID?.() || String(Math.random()).slice(2);
sessionStorage.setItem("conversation", conversation);

function show(signedIn) {
  $("sign-in").hidden = signedIn;
  $("chat").hidden = !signedIn;
  (signedIn ? $("text") : $("key")).focus();
}

function add(kind, text) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const element = document.createElement("div");
  element.className = kind;
  element.textContent = text;
  log.append(element);
  if (atEnd) log.scrollTop = log.scrollHeight;
  return element;
}

async function api(path, body) {
  const answer = await fetch(path, body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(data.error || `The gateway answered ${answer.status}.`);
  return data;
}

function setRunning(running) {
  $("stop").hidden = !running;
  log.setAttribute("aria-busy", String(running));
}

function hear(event) {
  if (event.session_id) sessionId = event.session_id;
  if (event.seq) {
    if (!turn || turn.id !== event.turn_id) turn = { session: event.session_id, id: event.turn_id, seq: 0, element: null };
    if (event.seq <= turn.seq) return;
    turn.seq = event.seq;
  }
  switch (event.type) {
    case "accepted": {
      const index = waiting.findIndex((message) => message.client_message_id === event.client_message_id);
      if (index >= 0) waiting.splice(index, 1);
      break;
    }
    case "stream_start": setRunning(true); break;
    case "text_delta":
      turn.element ??= add("assistant", "");
      turn.element.append(event.text);
      if (log.scrollHeight - log.scrollTop - log.clientHeight < 80) log.scrollTop = log.scrollHeight;
      break;
    case "tool_use": turn.element = null; add("tool", `${event.name} ${JSON.stringify(event.input)}`); break;
    case "tool_result": add(event.is_error ? "tool error" : "tool", event.content); break;
    case "approval_request": turn.element = null; ask(event); break;
    case "approval_result": settle(event); break;
    case "approval_waiting": if (!turn) socket.send(JSON.stringify({ type: "resume", session_id: event.session_id, after: 0 })); break;
    case "attachment": add("note", `File: ${event.file_name}`); break;
    case "stream_end":
      setRunning(false);
      if (event.stopped) add("note", "Stopped");
      for (const error of event.errors) add("note error", error);
      stateLine.textContent = `${event.input_tokens} tokens in, ${event.output_tokens} out, $${event.cost_usd.toFixed(4)}`;
      break;
    case "resync": location.reload(); break;
    case "error": {
      const index = waiting.findIndex((message) => message.client_message_id === event.client_message_id);
      if (index >= 0) waiting.splice(index, 1);
      add("note error", event.message);
      break;
    }
  }
}

function ask(event) {
  const what = event.subject || `${event.name} ${JSON.stringify(event.input)}`;
  const box = add("note approval", `May I run this? ${what} `);
  box.id = `approval-${event.approval_id}`;
  box.setAttribute("role", "group");
  const answer = (label, type, remember) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", () => socket.send(JSON.stringify({
      type, remember, session_id: event.session_id, approval_id: event.approval_id,
    })));
    box.append(button, " ");
  };
  answer("Allow", "approve", "once");
  answer("Allow in this conversation", "approve", "session");
  answer("Always allow", "approve", "forever");
  answer("Deny", "deny", "once");
}

// A page that was loaded anew: turns that wait for an answer are followed from their beginning.
async function followQuestions() {
  const { waiting: questions } = await api("/api/approvals").catch(() => ({ waiting: [] }));
  for (const id of new Set(questions.map((question) => question.session_id))) {
    socket.send(JSON.stringify({ type: "resume", session_id: id, after: 0 }));
  }
}

function settle(event) {
  const box = $(`approval-${event.approval_id}`);
  if (!box) return;
  for (const button of box.querySelectorAll("button")) button.remove();
  box.append({ approved: "Allowed.", denied: "Denied.", timeout: "Nobody answered in time.", withdrawn: "Stopped." }[event.outcome] || "");
}

function connect() {
  socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws`);
  socket.onopen = () => {
    retryMs = 500;
    stateLine.textContent = "Connected";
    if (turn && !$("stop").hidden) socket.send(JSON.stringify({ type: "resume", session_id: turn.session, turn_id: turn.id, after: turn.seq }));
    if (!turn) followQuestions();
    for (const message of waiting) socket.send(JSON.stringify(message));
  };
  socket.onmessage = (message) => hear(JSON.parse(message.data));
  socket.onclose = (close) => {
    if (close.code === 4401) return void start();
    stateLine.textContent = "Connection lost. Trying again…";
    setTimeout(connect, retryMs * (0.5 + Math.random()));
    retryMs = Math.min(retryMs * 2, 15000);
  };
}

async function start() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code) {
    history.replaceState(null, "", location.pathname);
    await api("/api/auth/login", { code }).catch((error) => { $("sign-in-error").textContent = error.message; });
  }
  const { authenticated, auth_disabled: open } = await api("/api/auth/verify");
  show(authenticated);
  $("sign-out").hidden = !authenticated || open;
  if (authenticated) connect();
}

$("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await api("/api/auth/login", { key: $("key").value });
    $("key").value = "";
    await start();
  } catch (error) {
    $("sign-in-error").textContent = error.message;
  }
});
$("sign-out").addEventListener("click", async () => {
  await api("/api/auth/logout", {});
  sessionStorage.clear();
  location.reload();
});
$("stop").addEventListener("click", () => socket.send(JSON.stringify({ type: "cancel", session_id: sessionId })));
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
    event.preventDefault();
    $("composer").requestSubmit();
  }
});
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  const message = {
    type: "message", text, channel_id: "web", channel_session_key: conversation,
    client_message_id: `${conversation}-${Date.now()}-${Math.random().toString(36).slice(2)}`,
  };
  waiting.push(message);
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  add("user", text);
  $("text").value = "";
});

start().catch((error) => { stateLine.textContent = `The gateway cannot be reached: ${error.message}`; });
