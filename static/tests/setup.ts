/** The page as the server sends it, for what is tested without one. */
window.__STARPOD__ = {
  greeting: null, prompts: [], models: ["local/m"], agent_name: "Nova", base: "/", version: "0", now: new Date().toISOString(),
  attachments: { enabled: true, max_file_size: 1000, allowed_extensions: [] },
  auth: { authenticated: true, auth_disabled: false, user: { id: "u1", display_name: null, role: "admin", filesystem_enabled: true } },
  sessions: [],
};
