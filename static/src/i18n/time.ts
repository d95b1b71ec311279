/** What time it is for the gateway: its moments are compared with its own clock, so that a wrong clock of this machine spoils nothing. */
import { boot } from "../app/boot";

/** A difference this small is the way here, and people who watch their clock see no other. */
const TOLERATED_MS = 60_000;
const apart = boot?.now ? Date.parse(boot.now) - Date.now() : 0;
const skew = Math.abs(apart) > TOLERATED_MS ? apart : 0;

export const now = (): number => Date.now() + skew;
