/** A button with a menu, on the native popover; arrows, Home, End and letters move, Esc gives focus back. */
import type { ComponentChildren } from "preact";
import { useId, useRef, useState } from "preact/hooks";

export interface Item {
  label: string;
  run: () => void;
  icon?: ComponentChildren;
  isDanger?: boolean;
  isChecked?: boolean;
  hint?: string;
}

interface Props {
  label: string;
  /** Asked for when the menu opens: a page has a hundred of them, and few are ever seen. */
  items: () => Item[];
  children: ComponentChildren;
  class?: string;
  align?: "start" | "end";
  up?: boolean;
}

export function MenuButton({ label, items, children, class: name = "icon-button", align = "end", up = false }: Props) {
  const id = useId().replaceAll(":", "");
  const button = useRef<HTMLButtonElement>(null);
  const menu = useRef<HTMLDivElement>(null);
  const [isOpen, setOpen] = useState(false);
  const entries = () => [...menu.current!.querySelectorAll<HTMLElement>("[role^=menuitem]")];

  const place = () => {
    const box = button.current!.getBoundingClientRect();
    const own = menu.current!;
    own.style.setProperty("min-width", `${Math.min(box.width, 260)}px`);
    const size = own.getBoundingClientRect();
    const left = align === "end" ? box.right - size.width : box.left;
    const above = up || box.bottom + size.height + 12 > innerHeight;
    own.style.setProperty("left", `${Math.max(8, Math.min(left, innerWidth - size.width - 8))}px`);
    own.style.setProperty("top", `${above ? Math.max(8, box.top - size.height - 6) : box.bottom + 6}px`);
  };

  const onKey = (event: KeyboardEvent) => {
    const list = entries();
    const here = list.indexOf(document.activeElement as HTMLElement);
    const moves: Record<string, number> = { ArrowDown: here + 1, ArrowUp: here - 1 + list.length, Home: 0, End: list.length - 1 };
    let to = moves[event.key];
    if (to === undefined && event.key.length === 1 && /\S/.test(event.key)) {
      const found = [...list.slice(here + 1), ...list].find((entry) => entry.textContent!.trim().toLowerCase().startsWith(event.key.toLowerCase()));
      if (found) to = list.indexOf(found);
    }
    if (event.key === "Tab") menu.current!.hidePopover();
    if (to === undefined) return;
    event.preventDefault();
    list[to % list.length]?.focus();
  };

  return (
    <>
      <button ref={button} type="button" class={name} aria-label={label} title={label} aria-haspopup="menu" popovertarget={id}>
        {children}
      </button>
      <div
        ref={menu}
        id={id}
        popover="auto"
        role="menu"
        aria-label={label}
        class="menu"
        onKeyDown={onKey}
        onBeforeToggle={(event: Event) => (event as ToggleEvent).newState === "open" && setOpen(true)}
        onToggle={(event: Event) => {
          // Emptied once the focus is back at the button.
          if ((event as ToggleEvent).newState !== "open") return setOpen(false);
          place();
          (entries().find((entry) => entry.getAttribute("aria-checked") === "true") ?? entries()[0])?.focus();
        }}
      >
        {isOpen && items().map((item) => (
          <button
            type="button"
            key={item.label}
            role={item.isChecked === undefined ? "menuitem" : "menuitemradio"}
            aria-checked={item.isChecked}
            tabIndex={-1}
            class={item.isDanger ? "danger" : ""}
            onClick={() => { menu.current!.hidePopover(); item.run(); }}
          >
            {item.icon}
            <span>{item.label}</span>
            {item.hint && <kbd>{item.hint}</kbd>}
          </button>
        ))}
      </div>
    </>
  );
}
