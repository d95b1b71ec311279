"""What the gateway tells open sockets of its own accord. Each notice becomes one frame, made once for all who hear it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic_core import to_json

from handlers import wire
from handlers.events import Message
from handlers.socket import SocketHandler
from starpod.agent.turn import Turn
from starpod.agent.turns import Activity
from starpod.approvals.service import owns
from starpod.approvals.types import Question
from starpod.cron.types import CronComplete
from starpod.events import ConfigRejected, ConfigReloaded
from starpod.instances.types import InstanceStatusChanged
from starpod.sessions.types import Session
from starpod.usage.budget_types import BudgetNotice

if TYPE_CHECKING:
    from starpod.app import Application

Hears = Callable[[SocketHandler], bool]


class Notices:
    """Sends events to the sockets whom they concern. A socket only takes a frame into its outbox, so none waits for another."""

    def __init__(self, application: Application) -> None:
        self._application = application
        state = application.state
        events = state.events
        self._unsubscribe = (
            events.subscribe(CronComplete, self._on_job),
            events.subscribe(BudgetNotice, self._on_budget),
            events.subscribe((ConfigReloaded, ConfigRejected), self._on_config),
            events.subscribe(InstanceStatusChanged, self._on_instance),
            state.agent.approvals.subscribe(self._on_question),
            state.agent.turns.watch(self._on_turn),
            state.agent.deletions.subscribe(self._on_deletion),
        )

    def close(self) -> None:
        """Tell nothing more."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()

    def tell(self, body: Message, hears: Hears) -> None:
        """Send a message to every open socket that `hears` it."""
        frame = wire.text_frame(to_json(body, inf_nan_mode="null"))
        for socket in tuple(self._application.sockets):
            if isinstance(socket, SocketHandler) and hears(socket):
                socket.send_frame(frame)

    def _on_job(self, event: CronComplete) -> None:
        """To the owner's sockets; those of admins for the agent's own jobs."""
        if event.user_id is None:
            self.tell(wire.job_event(event), _is_admin)
        else:
            self.tell(wire.job_event(event), lambda socket: socket.user is None or socket.user.id == event.user_id)

    def _on_budget(self, notice: BudgetNotice) -> None:
        """To admins, and to whose limit it is."""
        concerned = notice.user_id
        self.tell(
            wire.budget_event(notice),
            lambda socket: _is_admin(socket) or (socket.user is not None and socket.user.id == concerned),
        )

    def _on_config(self, event: ConfigReloaded | ConfigRejected) -> None:
        self.tell(wire.config_event(event), _is_admin)

    def _on_instance(self, event: InstanceStatusChanged) -> None:
        self.tell(wire.instance_event(event), _is_admin)

    def _on_question(self, question: Question) -> None:
        """A tool call waits. Sockets that follow its turn hear of it there; for the others `resume` shows it whole."""
        self.tell(
            wire.question_event(question),
            lambda socket: not socket.is_following(question.turn_id) and owns(socket.viewer, question.user_id),
        )

    def _on_turn(self, turn: Turn, activity: Activity) -> None:
        """A session gets busy or idle, or costs more. Only sockets that asked for it are told."""
        if activity in ("paid", "guessed"):
            spent = wire.spent(turn.session_id, turn.id, turn.guess or turn.usage)
            self.tell(spent, lambda socket: socket.watches_sessions and socket.is_following(turn.id))
            return
        changed = wire.session_event(turn.session_id, is_running=activity == "busy")
        self.tell(changed, lambda socket: socket.watches_sessions and owns(socket.viewer, turn.user_id))

    def _on_deletion(self, session: Session, message_ids: tuple[int, ...]) -> None:
        gone = wire.deleted_event(session.id, message_ids)
        self.tell(gone, lambda socket: socket.watches_sessions and owns(socket.viewer, session.user_id))


def _is_admin(socket: SocketHandler) -> bool:
    return socket.user is None or socket.user.role == "admin"
