/** Keeps a growing log at its end until the reader moves up; then it stays where it is until it is asked back. */
import { signal } from "@preact/signals";

const NEAR_PX = 8;
const UPWARD: ReadonlySet<string> = new Set(["PageUp", "ArrowUp", "Home"]);

export class Follow {
  readonly isFollowing = signal(true);
  #top = 0;
  #height = 0;
  #finger = 0;
  #watcher: ResizeObserver;

  constructor(private readonly log: HTMLElement, column: HTMLElement) {
    this.#watcher = new ResizeObserver(() => this.isFollowing.peek() && this.#toEnd());
    this.#watcher.observe(column);
    this.#watcher.observe(log);
    log.addEventListener("scroll", this.#onScroll, { passive: true });
    log.addEventListener("wheel", this.#onWheel, { passive: true });
    log.addEventListener("keydown", this.#onKey);
    log.addEventListener("touchstart", this.#onTouch, { passive: true });
    log.addEventListener("touchmove", this.#onTouch, { passive: true });
  }

  #toEnd(): void {
    this.log.scrollTop = this.log.scrollHeight;
    this.#top = this.log.scrollTop;
    this.#height = this.log.scrollHeight;
  }

  #onWheel = (event: WheelEvent) => {
    if (event.deltaY < 0) this.#letGo();
  };

  // Scrolling by keys and fingers moves a little at a time, less than a reply grows meanwhile.
  #onKey = (event: KeyboardEvent) => {
    if (UPWARD.has(event.key) || (event.key === " " && event.shiftKey && event.target === this.log)) this.#letGo();
  };

  #onTouch = (event: TouchEvent) => {
    const y = event.touches[0]?.clientY ?? 0;
    if (event.type === "touchmove" && y > this.#finger + 2) this.#letGo();
    this.#finger = y;
  };

  #letGo(): void {
    if (this.log.scrollHeight > this.log.clientHeight) this.isFollowing.value = false;
  }

  // Upward, while nothing became shorter, can only be the reader.
  #onScroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = this.log;
    if (scrollTop < this.#top - 1 && scrollHeight >= this.#height) this.isFollowing.value = false;
    else if (scrollHeight - scrollTop - clientHeight <= NEAR_PX && scrollTop > this.#top) this.isFollowing.value = true;
    this.#top = scrollTop;
    this.#height = scrollHeight;
  };

  /** To the newest line, and stay there. */
  attach(): void {
    this.isFollowing.value = true;
    this.#toEnd();
  }

  close(): void {
    this.#watcher.disconnect();
    this.log.removeEventListener("scroll", this.#onScroll);
    this.log.removeEventListener("wheel", this.#onWheel);
    this.log.removeEventListener("keydown", this.#onKey);
    this.log.removeEventListener("touchstart", this.#onTouch);
    this.log.removeEventListener("touchmove", this.#onTouch);
  }
}
