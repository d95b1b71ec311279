/** Which way a text runs. The browser finds out for every paragraph, which takes seconds for a very long one. */
export const LONG_TEXT = 20_000;
const RIGHT_TO_LEFT = /^[^\p{L}]*[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

/** For the `dir` of an element with this text: a long one runs all the way as its first letter does. */
export const directionOf = (text: string): "auto" | "ltr" | "rtl" =>
  text.length <= LONG_TEXT ? "auto" : RIGHT_TO_LEFT.test(text.slice(0, 500)) ? "rtl" : "ltr";
