"""The agent as the rest of the gateway sees it: send it a message, follow or stop a turn. Everything heavy loads on the first message."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from starpod.agent import attachments, history, settle_store, store
from starpod.agent.aftermath import Aftermath
from starpod.agent.branches import Branches
from starpod.agent.compaction import Compactor
from starpod.agent.costs import Costs, TokenUsage
from starpod.agent.deletion import Deletions
from starpod.agent.earlier import earlier_json
from starpod.agent.embeddings import Embedders
from starpod.agent.journal import Journal
from starpod.agent.model_calls import ModelCalls
from starpod.agent.model_test import ModelTest, ModelTests
from starpod.agent.models import Models
from starpod.agent.ollama import OllamaModels
from starpod.agent.prompt import Prompts
from starpod.agent.registry import ModelInfo, Registry
from starpod.agent.replay import replay
from starpod.agent.request_checks import check_request
from starpod.agent.review import MemoryKeeper, Subject
from starpod.agent.runner import Runner
from starpod.agent.session_files import SessionFiles
from starpod.agent.skill_drafts import SkillDraft, SkillDrafts
from starpod.agent.toolsets import Toolsets
from starpod.agent.turn import Turn
from starpod.agent.turns import Prepared, Submitted, Turns, submitted
from starpod.agent.types import Published, TurnRequest, UsageRow
from starpod.approvals.service import Approvals
from starpod.clock import Clock, local_zone
from starpod.config.schema import Config
from starpod.cron.service import CronJobs
from starpod.db.database import Database
from starpod.errors import NotFound
from starpod.memory.files import MemoryFiles
from starpod.memory.index import MemoryIndex
from starpod.net.guarded import GuardedClient
from starpod.paths import Paths
from starpod.sessions import store as sessions
from starpod.sessions.types import AGENT_USER_IDS, Channel, SessionKey, Viewer
from starpod.skills.service import Skills
from starpod.tasks import TaskSet
from starpod.telemetry.service import Telemetry
from starpod.tools.mcp.servers import McpServers
from starpod.tools.runs import Runs
from starpod.tools.services import ToolServices
from starpod.tools.types import ToolContext
from starpod.usage.budgets import Budgets

logger = logging.getLogger(__name__)

KEPT_DELETED = timedelta(days=30)
PURGED_AT_ONCE = 20
CLIENT_KEPT_S = 60.0


class Agent:
    """Owns the turn engine and what it needs. `open` before use, `close` at the end."""

    def __init__(
        self,
        *,
        database: Database,
        paths: Paths,
        config: Callable[[], Config],
        environ: Callable[[], Mapping[str, str]],
        clock: Clock,
        credentials: Callable[[], Mapping[str, str]] | None = None,
        budgets: Budgets | None = None,
    ) -> None:
        """`credentials` is the environment with the vault's secrets over it, for the gateway's own clients; the tool that shows
        variables to the model gets `environ` alone."""
        credentials = credentials or environ
        self.database = database
        self.telemetry = Telemetry()
        database.observe = self.telemetry.metrics.database
        self.paths = paths
        self._config = config
        self._clock = clock
        self._tasks = TaskSet("agent")
        self.internet = GuardedClient(lambda: config().internet.allow_private_hosts)
        self.mcp = McpServers(config, credentials, paths.home_dir, clock)
        self.skills = Skills(paths.skills_dir, config, clock)
        self.memory = MemoryFiles(database, paths, config, clock)
        self.memory_index = MemoryIndex(database, paths, config, clock)
        self.memory.on_change = self.memory_index.note_changed
        self.approvals = Approvals(database, clock)
        self._runs = Runs(paths.agent_home)
        self.jobs = CronJobs(database, clock, config, lambda: config().timezone or local_zone())
        tools = ToolServices(
            internet=self.internet,
            runs=self._runs,
            environ=environ,
            credentials=credentials,
            skills=self.skills,
            memory=self.memory,
            jobs=self.jobs,
            memory_index=self.memory_index,
        )
        self._toolsets = Toolsets(tools, self.mcp)
        registry = Registry.load(paths.config_dir / "models.toml")
        self.models = Models(config, credentials, registry)
        self._costs = Costs(registry)
        self.embedders = Embedders(self.models, config, self._book_embedding, self._embedding_price, budgets)
        self._journal = Journal(database, self._tasks)
        self._written_registry = registry
        self._found: Mapping[str, ModelInfo] = {}
        self.ollama = OllamaModels(config, clock, self._use_found)
        self._settings_changed_at: float | None = None
        self._began_before: set[str] = set()
        calls = ModelCalls(
            self.models,
            self._costs,
            self._journal,
            budgets,
            self.telemetry,
            guessed=lambda turn: self.turns.tell(turn, "guessed"),
        )
        self._tests = ModelTests(self.models, calls, self._book)
        self._drafts = SkillDrafts(config, self.models, calls, self._book)
        self._keeper = MemoryKeeper(self.memory, self.skills, self.models, calls, self._book_for)
        self._aftermath = Aftermath(
            database=database,
            clock=clock,
            config=config,
            memory=self.memory,
            keeper=self._keeper,
            tasks=self._tasks,
        )
        self._prompts = Prompts(paths, clock, self._catalog)
        self._runner = Runner(
            database=database,
            clock=clock,
            journal=self._journal,
            calls=calls,
            prompts=self._prompts,
            compactor=Compactor(database, clock, calls.ask, self._flush),
            toolset=self._toolsets.of,
            tool_context=self._tool_context,
            approvals=self.approvals,
            paid=lambda turn: self.turns.tell(turn, "paid"),
        )
        self.turns = Turns(database, clock, self._tasks, self._run)
        self.files = SessionFiles(database, self.home_of)
        self.branches = Branches(database, self.turns, clock, self._prepare_again)
        self.deletions = Deletions(
            database, self.turns, self.memory, self.memory_index, self._aftermath.write_record, self.home_of
        )

    async def open(self) -> list[str]:
        """Settle what a crash left behind; returns the ids of turns that were cut off."""
        self._ask_ollama_if_used()
        return await self.database.run(settle_store.recover, self._clock.now())

    async def close(self, *, grace_s: float = 0.0) -> None:
        """Let running turns finish for `grace_s` seconds, then cut them off with what they have stored."""
        await self.turns.close(grace_s=grace_s)
        await self._runs.close()
        await self.mcp.close()
        await self._journal.flush()
        await self._tasks.close()
        await self.memory.close()
        await self.models.aclose()
        await self.internet.aclose()

    async def warm_up(self) -> None:
        """Import what a turn needs, in a thread: the SDKs of the models, and the tools. Returns at once when that has been done."""
        await self.models.warm_up()
        await self._toolsets.load()

    async def submit(self, request: TurnRequest) -> Submitted:
        """Check and store a message; its turn runs by itself. Raises InvalidInput before anything is stored, Conflict, Unavailable.

        When this returns, the message is on disk.
        """
        prepared = await self._prepare(request)
        turn, accepted = await self.turns.submit(request, prepared)
        if accepted.closed_session_id is not None:
            self._session_closed(accepted.closed_session_id, request.key, is_admin=request.is_admin)
        if accepted.kind != "duplicate" and request.files:
            await self._remember_files(request, prepared, accepted.session_id, turn)
        return submitted(turn, accepted)

    async def close_session(self, key: SessionKey, *, is_admin: bool) -> str | None:
        """Let the next message of `key` begin a conversation; returns the id of the session that this ended, if one was open."""
        session_id = await self.database.run(sessions.close_open, key)
        if session_id is not None:
            self._session_closed(session_id, key, is_admin=is_admin)
        return session_id

    def _session_closed(self, session_id: str, key: SessionKey, *, is_admin: bool) -> None:
        self._prompts.forget(session_id)
        self._aftermath.session_closed(session_id, key.user_id, is_admin=is_admin)

    async def find_turn(self, viewer: Viewer, session_id: str, turn_id: str | None = None) -> Turn | None:
        """The named turn of a session, or its newest, if it is still in memory. NotFound for a session the viewer may not see."""
        await self.require_session(viewer, session_id)
        turn = self.turns.find(turn_id) if turn_id else self.turns.current(session_id)
        return turn if turn is not None and turn.session_id == session_id else None

    async def replay(self, viewer: Viewer, session_id: str, turn_id: str | None = None) -> list[Published]:
        """The events of an ended turn from storage. NotFound when there is no such turn in a session of the viewer's."""
        await self.require_session(viewer, session_id)
        if turn_id is None:
            turn = await self.database.read(store.find_last_turn, session_id)
        else:
            turn = await self.database.read(store.find_turn, turn_id)
        if turn is None or turn.session_id != session_id:
            raise NotFound("There is no such turn in this session")
        rows = await self.database.read(store.turn_rows, turn.id)
        return replay(turn, rows, await self.database.read(store.turn_usage, turn.id))

    async def stop(self, viewer: Viewer, session_id: str, turn_id: str | None = None) -> bool:
        """Stop the running turn of a session; False when nothing runs. NotFound for a session the viewer may not see."""
        await self.require_session(viewer, session_id)
        return self.turns.stop(session_id, turn_id)

    async def delete_session(self, viewer: Viewer, session_id: str, *, permanent: bool = False) -> None:
        """Hide a session at once and stop what runs in it; `permanent` also removes it for good, and those already hidden. NotFound."""
        is_hidden = await self.database.run(sessions.mark_deleted, session_id, viewer.owner_ids, self._clock.now())
        if not is_hidden and not (
            permanent and await self.database.read(sessions.find_deleted, session_id, viewer.owner_ids)
        ):
            raise NotFound(f"Session {session_id!r} not found")
        await self.turns.halt(session_id)
        if permanent:
            await self._purge(session_id)

    async def purge_deleted(self) -> int:
        """Remove for good what was deleted more than 30 days ago; returns how many sessions."""
        moment = self._clock.now() - KEPT_DELETED
        session_ids = await self.database.read(sessions.deleted_before, moment, PURGED_AT_ONCE)
        for session_id in session_ids:
            await self._purge(session_id)
        return len(session_ids)

    async def _purge(self, session_id: str) -> None:
        self.turns.forget(session_id)
        self._prompts.forget(session_id)
        files = await self.database.run(sessions.purge, session_id)
        await self.deletions.forget_record(session_id)
        await self.deletions.remove_files(files)

    async def require_session(self, viewer: Viewer, session_id: str) -> None:
        """NotFound unless the viewer may see the session."""
        if await self.database.read(sessions.find_session, session_id, viewer.owner_ids) is None:
            raise NotFound(f"Session {session_id!r} not found")

    async def draft_skill(self, name: str, description: str, wish: str) -> SkillDraft:
        """Have the default model write a skill; nothing is stored. Raises InvalidInput, Upstream."""
        return await self._drafts.write(name, description, wish)

    def use_registry(self, registry: Registry) -> None:
        """Take other knowledge and prices of models from now on."""
        self._written_registry = registry
        known = registry.with_models("ollama", self._found) if self._found else registry
        self.models.use(known)
        self._costs.use(known)

    def known_models(self) -> dict[str, list[str]]:
        """Every known model by provider; Ollama is asked in the background when its last answer is old."""
        if self.ollama.is_due:
            self._tasks.spawn(self.ollama.ask(), name="ollama")
        return self.models.registry.models()

    def _use_found(self, found: Mapping[str, ModelInfo]) -> None:
        if found != self._found:
            self._found = found
            self.use_registry(self._written_registry)

    def settings_changed(self) -> None:
        """Let what comes use the new settings; what runs goes on with those that it began with."""
        self.models.settings_changed()
        self._settings_changed_at = self._clock.monotonic()
        self._began_before = self.turns.running_ids()
        self._ask_ollama_if_used()

    def _ask_ollama_if_used(self) -> None:
        """Context windows and images of its models are to be known before the first message."""
        if any(spec.startswith("ollama/") for spec in self._config().models) and self.ollama.is_due:
            self._tasks.spawn(self.ollama.ask(), name="ollama")

    async def _close_unused(self) -> None:
        """Close the clients of earlier settings, once every turn that may use one has ended and background calls had a minute."""
        if self._settings_changed_at is None or self._clock.monotonic() - self._settings_changed_at < CLIENT_KEPT_S:
            return
        if self._began_before & self.turns.running_ids():
            return
        self._settings_changed_at = None
        for client in self.models.take_unused():
            await client.aclose()

    async def pulse(self) -> None:
        """Forget what nobody can ask for any more, and store what could not be stored before."""
        await self._close_unused()
        self.turns.sweep(self._config())
        self.mcp.pulse()
        await self._runner.settle_late()

    async def _prepare(self, request: TurnRequest) -> Prepared:
        config = self._config()
        check_request(request)
        self.mcp.start()
        attachments.check([(file.file_name, len(file.data)) for file in request.files], config.attachments)
        await self.warm_up()
        model = self.models.resolve(request.model).spec
        gap = gap_of(config, request.key.channel)
        text, skill = await self._expanded(request.text)
        now, shows_images = self._clock.now(), self.models.supports_vision(request.model)
        earlier: tuple[str, ...] = ()
        if request.earlier:
            earlier = await asyncio.to_thread(earlier_json, request.earlier, now, shows_images=shows_images)
        if not request.files:
            return Prepared(config, history.user_json(text, now), model, (), gap, skill, earlier)
        home = self.home_of(request.key.user_id, is_admin=request.is_admin)
        saved_as = await asyncio.to_thread(attachments.save, request.files, home, now)
        names = await asyncio.to_thread(attachments.recent, home)
        user_json = await asyncio.to_thread(
            attachments.user_json, request.files, text, saved_as, names, shows_images=shows_images
        )
        return Prepared(config, user_json, model, saved_as, gap, skill, earlier)

    async def _prepare_again(self, request: TurnRequest) -> tuple[Prepared, str]:
        """As `_prepare`, for a message that may have files already: also the text for the model, for the caller to put in its place."""
        await self.warm_up()
        model = self.models.resolve(request.model).spec
        text, skill = await self._expanded(request.text)
        return Prepared(self._config(), "", model, skill=skill), text

    async def _expanded(self, text: str) -> tuple[str, str | None]:
        """A message with the skill that it calls by `/name` written out, and that skill's name."""
        command = await self.skills.command(text) if text.lstrip().startswith("/") else None
        return (command.text, command.name) if command else (text, None)

    async def _remember_files(
        self, request: TurnRequest, prepared: Prepared, session_id: str, turn: Turn | None
    ) -> None:
        if turn is None:
            return
        for file, path in zip(request.files, prepared.saved_as, strict=True):
            await self.database.run(
                store.save_attachment,
                session_id=session_id,
                turn_id=turn.id,
                direction="in",
                name=file.file_name,
                mime_type=attachments.media_type(file),
                size_bytes=len(file.data),
                path=path,
                now=self._clock.now(),
            )

    async def _run(self, turn: Turn) -> None:
        with self.telemetry.turn(turn.id, turn.session_id) as outcome:
            await self._runner.run(turn)
            outcome.state = turn.state
        self._aftermath.turn_ended(turn)

    async def _flush(self, turn: Turn, messages: list[tuple[str, str]]) -> None:
        """Keep what is worth remembering of messages that are about to be summarised."""
        subject = Subject(
            "flush", turn.user_id, turn.request.is_admin, turn.session_id, turn.id, turn.config, turn.request.model
        )
        await self._keeper.keep(subject, messages)

    async def _book_for(self, usage: UsageRow, user_id: str, session_id: str) -> None:
        """Book a call that was made in the background for a user's session."""
        await self.database.run(store.add_usage, session_id, None, usage, 0, self._clock.now(), user_id)

    async def test_model(self, spec: str, user_id: str | None) -> ModelTest:
        """Ask a model one tiny thing, at the user's cost. Raises InvalidInput for what names no model."""
        return await self._tests.run(spec, user_id or "admin")

    async def _book(self, usage: UsageRow, user_id: str | None = None) -> None:
        """Book a model call that belongs to no turn."""
        await self.database.run(store.add_usage, None, None, usage, 0, self._clock.now(), user_id)

    async def _book_embedding(self, provider: str, model: str, tokens: int, user_id: str | None) -> None:
        cost = self._embedding_price(provider, model, tokens)
        self.telemetry.metrics.used(f"{provider}/{model}", "embedding", {"input": tokens}, cost)
        await self._book(UsageRow(tokens, 0, 0, 0, cost, False, "embedding", provider, model), user_id)

    def _embedding_price(self, provider: str, model: str, tokens: int) -> float:
        return self._costs.price(provider, model, TokenUsage(tokens))

    async def _catalog(self, turn: Turn) -> str:
        """The skills for a turn's prompt, without the one that its message carries whole."""
        return await self.skills.catalog(hidden=turn.skill)

    def _tool_context(self, turn: Turn) -> ToolContext:
        return ToolContext(
            user_id=turn.user_id,
            session_id=turn.session_id,
            turn_id=turn.id,
            home=self.home_of(turn.user_id, is_admin=turn.request.is_admin),
            role="admin" if turn.request.is_admin else "user",
            attach=turn.outgoing.append,
            max_attachment_bytes=turn.config.attachments.max_file_size,
        )

    def home_of(self, user_id: str, *, is_admin: bool) -> Path:
        """Where the agent works for a person. Only admins and the agent itself share the agent's home: nobody reads another's files."""
        if is_admin or user_id in AGENT_USER_IDS:
            return self.paths.home_dir
        home = self.paths.users_dir / user_id / "home"
        home.mkdir(parents=True, exist_ok=True)
        return home


def gap_of(config: Config, channel: Channel) -> timedelta | None:
    """Silence after which a message begins a new session; None = never."""
    match channel:
        case "main":
            return None
        case "telegram" | "email" | "slack":
            minutes: int | None = getattr(config.channels, channel).gap_minutes
            return timedelta(minutes=minutes) if minutes is not None else None
