/** People as the settings know them. */
import { t } from "../../i18n";

export const PEOPLE = "api/settings/auth/users";

export interface Person {
  id: string;
  email: string | null;
  display_name: string | null;
  role: "admin" | "user";
  is_active: boolean;
  filesystem_enabled: boolean;
}

export const nameOf = (person: Person): string => person.display_name || person.email || t("users.unnamed");
