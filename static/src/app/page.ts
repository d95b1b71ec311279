/** What every page is given. */
export interface PageProps {
  /** What stands in the address in place of `:name` and `*`. */
  params: Record<string, string>;
}
