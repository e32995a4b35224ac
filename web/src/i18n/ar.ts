import { en } from "./en";
export const ar: typeof en = en;
