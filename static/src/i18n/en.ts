/** English: the catalogue that names the keys. Others are checked against it. */
import { first } from "./en/first";
import { jobs } from "./en/jobs";
import { settings } from "./en/settings";
import { shell } from "./en/shell";
import { work } from "./en/work";

export const en = { ...shell, ...work, ...settings, ...first, ...jobs };
