"""The state that all handlers share: opened once, in order, closed in reverse."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from starpod.agent.registry import Registry
from starpod.agent.service import Agent
from starpod.auth.limits import FailedAttempts, SlidingWindow
from starpod.auth.service import Auth
from starpod.auth.types import Actor
from starpod.channels.mcp.service import McpChannel
from starpod.channels.openai.service import OpenAIChannel
from starpod.channels.telegram.service import Telegram
from starpod.clock import Clock, SystemClock
from starpod.config.loader import Frontend, LoadedConfig, load_frontend
from starpod.config.problems import ConfigError
from starpod.config.schema import Config
from starpod.config.watcher import ConfigWatcher
from starpod.config.writer import ConfigWriter
from starpod.cron.heartbeat import Heartbeat
from starpod.cron.lifecycle import Lifecycle
from starpod.cron.notifier import Notifier, NotifierQueue
from starpod.cron.running import JobRunner
from starpod.cron.scheduler import Scheduler
from starpod.cron.service import CronJobs
from starpod.cron.types import CronComplete
from starpod.db.database import Database
from starpod.db.lock import GatewayLock
from starpod.db.migrate import migrate
from starpod.events import AccessChanged, ConfigReloaded, EventBus, VaultChanged
from starpod.instances.service import Instances
from starpod.memory.files import MemoryFiles
from starpod.memory.index import MemoryIndex
from starpod.memory.semantic import IndexChunks, SemanticIndex
from starpod.net.frames import Frames
from starpod.notifications.service import Notifications
from starpod.outbox.service import Outbox
from starpod.paths import Paths
from starpod.people import store as people_store
from starpod.people.service import new_alias
from starpod.sessions.service import Sessions
from starpod.tasks import TaskSet
from starpod.usage.budgets import Budgets
from starpod.usage.service import CostReports
from starpod.vault.service import Vault

logger = logging.getLogger(__name__)

SWEEP_BEATS = 600


@dataclass(slots=True)
class AppState:
    """The services of one gateway. `config` is always the one in force."""

    paths: Paths
    database: Database
    clock: Clock
    events: EventBus
    watcher: ConfigWatcher
    writer: ConfigWriter
    auth: Auth
    rate_limiter: SlidingWindow
    failed_attempts: FailedAttempts
    agent: Agent
    sessions: Sessions
    frames: Frames
    vault: Vault
    costs: CostReports
    memory: MemoryFiles
    memory_index: MemoryIndex
    semantic: SemanticIndex
    budgets: Budgets
    scheduler: Scheduler
    heartbeat: Heartbeat
    lifecycle: Lifecycle
    notifications: Notifications
    outbox: Outbox
    instances: Instances
    telegram: Telegram
    openai: OpenAIChannel
    mcp_server: McpChannel
    tasks: TaskSet
    lock: GatewayLock
    bind_host: str = "127.0.0.1"
    loop_delay_s: float = 0.0
    is_stopping: bool = False
    examining: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the doctor looks: it reads whole databases."""
    _beats: int = 0
    _unsubscribe: Callable[[], None] = field(default=lambda: None)

    @property
    def config(self) -> Config:
        """The configuration in force. Take it once per request: it may be swapped at any await."""
        return self.watcher.config

    @property
    def jobs(self) -> CronJobs:
        """What the agent does by itself."""
        return self.agent.jobs

    def begin(self) -> None:
        """Start what works by itself. Called once the port is open, so that nothing of it delays the first answer."""
        self.scheduler.start()
        self.heartbeat.changed()
        self.telegram.start()
        self.tasks.spawn(self.jobs.retime(), name="retime-jobs")
        self.tasks.spawn(self.lifecycle.run(), name="lifecycle")

    def notify(self, notifier: Notifier) -> None:
        """Hand the results of jobs to a function of the caller's, too."""
        NotifierQueue(notifier, self.events, self.tasks)

    async def pulse(self) -> None:
        """The gateway's heartbeat, once a second: settles what changed on disk, writes what was held back, forgets what expired."""
        for step in (
            self.watcher.settle,
            self.vault.refresh,
            self.auth.flush,
            self.agent.pulse,
            self.memory_index.pulse,
            self.instances.pulse,
        ):
            try:
                await step()
            except Exception:
                logger.exception("a part of the pulse failed")
        self._beats += 1
        if self._beats % SWEEP_BEATS == 0:
            self.tasks.spawn(self.auth.sweep(), name="auth-sweep")
            self.tasks.spawn(self.agent.purge_deleted(), name="purge-deleted")
        self.rate_limiter.sweep()
        self.failed_attempts.sweep()

    async def close(self) -> None:
        """Close everything in the reverse order of opening."""
        self._unsubscribe()
        self.notifications.close()
        await self.instances.close()
        await self.watcher.close()
        await self.scheduler.close()
        await self.outbox.close()
        await self.telegram.stop_polling()
        await self.mcp_server.close()
        await self.agent.close(grace_s=self.config.shutdown_grace_s)
        await self.telegram.close()
        await self.semantic.close()
        await self.memory_index.close()
        await self.budgets.close()
        await self.tasks.close()
        await self.auth.flush()
        self.auth.close()
        await asyncio.to_thread(self.database.close)
        self.lock.release()

    async def set_user_active(self, user_id: str, active: bool, *, actor: Actor) -> None:
        """Let a user in again, or shut them out, ending what runs for them. Raises what `Auth.set_active` does."""
        await self.auth.set_active(user_id, active, actor=actor)
        self.jobs.on_change()
        if not active:
            await self.agent.turns.stop_user(user_id)

    async def delete_user(self, user_id: str, *, erase: bool, actor: Actor) -> None:
        """Delete a user and end what runs for them; with `erase` also their sessions, memory and files, else these stay.

        Raises what `Auth.delete_user` does.
        """
        await self.auth.delete_user(user_id, actor=actor)
        self.jobs.on_change()
        await self.agent.turns.stop_user(user_id)
        if erase:
            await self.database.run(people_store.erase, user_id, new_alias(), self.clock.now())
            await self.memory.forget_user(user_id)

    async def frontend(self) -> Frontend:
        """Greeting and prompts of the page, as frontend.toml has them now."""
        return await asyncio.to_thread(load_frontend, self.paths)

    def apply_settings(self) -> None:
        """Bring everything that holds settings in line with the configuration that has come into force."""
        self.apply_limits()
        self.agent.settings_changed()
        self.tasks.spawn(self.agent.mcp.apply(), name="mcp-apply")
        self.memory_index.settings_changed()
        self.semantic.wake()
        self.heartbeat.changed()
        self.tasks.spawn(self.jobs.retime(), name="retime-jobs")

    async def watch_files(self) -> None:
        """Let edits of the other settings files come into force, too."""
        await self.watcher.add_file("models.toml", self._apply_models)
        await self.watcher.add_file("frontend.toml", self._check_frontend)
        await self.watcher.add_file(self.heartbeat.file.name, lambda path: self.heartbeat.settle())

    async def _apply_models(self, path: Path) -> None:
        self.agent.use_registry(await asyncio.to_thread(Registry.read, path))

    async def _check_frontend(self, path: Path) -> None:
        """It is read at each page load; here only its mistakes are told."""
        warning = (await self.frontend()).warning
        if warning is not None:
            raise ConfigError(warning)

    def apply_secrets(self) -> None:
        """Let keys and tokens that have come, gone or changed act at once."""
        self.agent.settings_changed()
        self.semantic.wake()
        self.events.publish(VaultChanged())

    def apply_limits(self) -> None:
        """Bring the limits in line with the configuration."""
        auth = self.config.auth
        self.rate_limiter.resize(auth.rate_limit_requests, auth.rate_limit_window_secs)
        self.failed_attempts.resize(auth.failed_attempts, auth.failed_attempts_window_secs)
        self.auth.sign_in_lifetime = timedelta(days=auth.cookie_days)


async def open_state(
    paths: Paths,
    loaded: LoadedConfig,
    *,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    auth: Auth | None = None,
    agent: Agent | None = None,
) -> AppState:
    """Open the database and every service on it. Raises Unavailable when the database does not fit, Conflict when another
    gateway runs on this folder; nothing is changed then."""
    clock = clock or SystemClock()
    environ = os.environ if environ is None else environ
    paths.db_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = GatewayLock(paths.db_dir)
    lock.acquire()
    try:
        database = agent.database if agent is not None else await open_database(paths)
    except BaseException:
        lock.release()
        raise
    events = EventBus()
    watcher = ConfigWatcher(paths, loaded, events, environ)
    settings = loaded.config.auth
    vault = Vault(database, paths.db_dir, loaded.environ, clock)
    await vault.open()
    budgets = Budgets(database, clock, lambda: watcher.config, events)
    agent = agent or Agent(
        database=database,
        paths=paths,
        config=lambda: watcher.config,
        environ=lambda: watcher.current.environ,
        credentials=lambda: vault.over(watcher.current.environ),
        budgets=budgets,
        clock=clock,
    )
    tasks = TaskSet("gateway")
    heartbeat = Heartbeat(agent.jobs, paths.config_dir / "HEARTBEAT.md", lambda: watcher.config, tasks)
    auth = auth or Auth(database, clock)
    limiter = SlidingWindow(settings.rate_limit_requests, settings.rate_limit_window_secs, clock)
    notifications = Notifications(database, clock, events, tasks)
    outbox = Outbox(database, clock, notifications.tell_of_channel)
    sessions = Sessions(database)
    state = AppState(
        paths=paths,
        database=database,
        clock=clock,
        events=events,
        watcher=watcher,
        writer=ConfigWriter(paths, watcher),
        auth=auth,
        rate_limiter=limiter,
        failed_attempts=FailedAttempts(settings.failed_attempts, settings.failed_attempts_window_secs, clock),
        agent=agent,
        sessions=sessions,
        frames=Frames(agent.internet, clock),
        vault=vault,
        costs=CostReports(database, clock, lambda: watcher.config),
        memory=agent.memory,
        memory_index=agent.memory_index,
        semantic=SemanticIndex(paths.db_dir / "vectors.db", IndexChunks(agent.memory_index), agent.embedders.current),
        budgets=budgets,
        scheduler=Scheduler(
            database,
            clock,
            lambda: watcher.config,
            agent.jobs,
            events,
            JobRunner(agent, database, heartbeat.file).run,
        ),
        heartbeat=heartbeat,
        lifecycle=Lifecycle(agent, paths.config_dir, lambda: watcher.config),
        notifications=notifications,
        outbox=outbox,
        instances=Instances(
            folder=paths.agent_home / "instances",
            database=database,
            clock=clock,
            events=events,
            config=lambda: watcher.config.instances,
            environ=lambda: watcher.current.environ,
            secrets=lambda: vault.over(watcher.current.environ),
        ),
        telegram=Telegram(
            agent=agent,
            auth=auth,
            database=database,
            clock=clock,
            events=events,
            config=lambda: watcher.config,
            secrets=lambda: vault.over(watcher.current.environ),
            limiter=limiter,
            outbox=outbox,
        ),
        mcp_server=McpChannel(agent, sessions),
        openai=OpenAIChannel(agent, sessions, lambda: watcher.config),
        tasks=tasks,
        lock=lock,
    )
    notifications.on_kept = outbox.wake
    events.subscribe(CronComplete, lambda event: outbox.wake())
    state._unsubscribe = events.subscribe(ConfigReloaded, lambda event: state.apply_settings())
    vault.on_change = state.apply_secrets
    state.apply_limits()
    agent.memory.on_change = both(agent.memory.on_change, heartbeat.note)
    state.auth.on_change = lambda user_id: events.publish(AccessChanged(user_id))
    cut_off = await agent.open()
    if cut_off:
        logger.warning("%d turns were cut off when the gateway last stopped; what they had said is kept", len(cut_off))
    state.tasks.spawn(state.costs.check(), name="usage-sums")
    await state.watch_files()
    watcher.start()
    state.memory_index.ranker = state.semantic
    state.memory_index.on_change = state.semantic.wake
    await state.memory_index.open()
    state.semantic.wake()
    return state


def both(first: Callable[[Path], None], second: Callable[[Path], None]) -> Callable[[Path], None]:
    """One listener that calls two."""

    def call(path: Path) -> None:
        first(path)
        second(path)

    return call


async def open_database(paths: Paths) -> Database:
    """Open core.db, bringing it to the newest schema. Raises Unavailable with what to do when it does not fit."""
    paths.db_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    paths.core_db.touch(mode=0o600)
    database = Database(paths.core_db)
    try:
        await asyncio.to_thread(migrate, database)
    except BaseException:
        database.close()
        raise
    return database
