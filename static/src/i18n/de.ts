/** German. */
import type { Catalogue } from ".";
import { first } from "./de/first";
import { jobs } from "./de/jobs";
import { settings } from "./de/settings";
import { shell } from "./de/shell";
import { work } from "./de/work";

export const de: Catalogue = { ...shell, ...work, ...settings, ...first, ...jobs };
