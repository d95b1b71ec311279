/** What the gateway logs: its newest lines, followed while somebody looks. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../../api/client";
import { clockTime, t } from "../../i18n";
import { Card, Failure } from "../../ui/parts";

interface Line {
  id: number;
  time: string;
  level: string;
  logger: string;
  message: string;
  exception: string;
}

const MOST_LINES = 1000;
const REFRESH_MS = 1500;
const LEVELS = ["debug", "info", "warning", "error"];

const textOf = (line: Line): string =>
  `${clockTime(line.time)} ${line.level.toUpperCase().padEnd(7)} ${line.logger}: ${line.message}\n${line.exception && `${line.exception}\n`}`;

export function Logs() {
  const [lines, setLines] = useState<Line[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [level, setLevel] = useState("info");
  const [wanted, setWanted] = useState("");
  const [round, setRound] = useState(0);
  const place = useRef<HTMLPreElement>(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    let isHere = true;
    let isBusy = false;
    let last = 0;
    setLines(null);
    const look = async () => {
      if (isBusy || document.hidden) return;
      isBusy = true;
      try {
        const more = await api.get<Line[]>("api/logs", { tail: MOST_LINES, level, after: last });
        if (!isHere) return;
        last = more.at(-1)?.id ?? last;
        setLines((all) => (more.length || !all ? [...(all ?? []), ...more].slice(-MOST_LINES) : all));
        setProblem(null);
      } catch (error) {
        if (isHere) setProblem((error as Error).message);
      } finally {
        isBusy = false;
      }
    };
    void look();
    const timer = setInterval(() => void look(), REFRESH_MS);
    return () => { isHere = false; clearInterval(timer); };
  }, [level, round]);
  const shown = (lines ?? []).filter((line) => textOf(line).toLowerCase().includes(wanted.trim().toLowerCase()));
  useEffect(() => { if (isAtEnd.current && place.current) place.current.scrollTop = place.current.scrollHeight; }, [lines, wanted]);
  return (
    <Card title={t("logs.title")}>
      <p class="quiet">{t("logs.hint")}</p>
      <div class="row list-tools">
        <label class="field grow"><span class="hidden">{t("logs.find")}</span><input type="search" placeholder={t("logs.find")} value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} /></label>
        <label class="field"><span class="hidden">{t("logs.level")}</span><select value={level} onChange={(event) => setLevel(event.currentTarget.value)}>{LEVELS.map((each) => <option key={each} value={each}>{t(`logs.${each}` as "logs.info")}</option>)}</select></label>
      </div>
      {problem && <Failure text={problem} retry={() => setRound(round + 1)} />}
      <pre ref={place} class="log-lines" tabIndex={0} aria-label={t("logs.title")} onScroll={(event) => { const box = event.currentTarget; isAtEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < 8; }}>
        {shown.map((line) => <span key={line.id} class={/error|critical/.test(line.level) ? "error" : line.level === "warning" ? "warn" : undefined}>{textOf(line)}</span>)}
        {lines && !shown.length && t("logs.none")}
      </pre>
    </Card>
  );
}
