/** Lucide's icons as elements. `<Icon of={Search} />`; decoration only, so the button around it needs a name. */
import type { IconNode } from "lucide";
import { h } from "preact";

export {
  Archive, ArrowDown, ArrowUp, Brain, Bell, BookOpen, ChartColumn, Check, ChevronDown, ChevronLeft, ChevronRight, CircleAlert, Clock, CodeXml, Copy, Download,
  Ellipsis, FileText, Folder, GitBranch, Globe, Image, Keyboard, LogOut, Menu, MessageSquare, Monitor, Moon, PanelLeft, Paperclip, Pencil, Pin, Plus, RefreshCw, Send, Search, Server,
  Settings, Square, Sun, Terminal, Trash2, User, Wrench, X,
} from "lucide";

export function Icon({ of, size = 17 }: { of: IconNode; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      {of.map(([tag, attributes]) => h(tag, attributes as Record<string, string>))}
    </svg>
  );
}

/** The mark: a ring with a dot that turns while the agent works. */
export function Mark({ isBusy = false, size = 22 }: { isBusy?: boolean; size?: number }) {
  return (
    <svg class={isBusy ? "mark busy" : "mark"} width={size} height={size} viewBox="0 0 64 64" aria-hidden="true">
      <path d="M52.5 24A22 22 0 1 1 41.5 12.3" fill="none" stroke="var(--accent)" stroke-width="7.5" stroke-linecap="round" />
      <circle cx="51" cy="14" r="7.5" fill="var(--copper)" />
    </svg>
  );
}
