/** Starts the page. */
import { render } from "preact";
import { App } from "./app/App";
import { isSignedIn, useLinkCode } from "./app/auth";
import { boot } from "./app/boot";
import { preparePalette } from "./app/overlays";
import { preferred, setLocale } from "./i18n";
import { connect } from "./socket/socket";
import "./styles/index.css";

async function start(): Promise<void> {
  // English is part of the page; another language is fetched before the first words are shown.
  await setLocale(preferred(), { keep: false }).catch(() => null);
  const problem = await useLinkCode();
  render(<App problem={problem} />, document.getElementById("app")!);
  if (isSignedIn.value) connect();
}
void start();

addEventListener("load", () => setTimeout(preparePalette, 1000));

// The offline shell, once the page has settled.
if ("serviceWorker" in navigator && isSecureContext) {
  const register = async () => {
    const registration = await navigator.serviceWorker.register(`${boot.base}sw.js`, { scope: boot.base });
    (registration.active ?? registration.installing ?? registration.waiting)?.postMessage("keep-shell");
  };
  addEventListener("load", () => setTimeout(() => void register().catch(() => null), 1500));
}
