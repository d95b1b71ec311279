"""Who runs next when more turns wait than may run at a time: the people in turn, each one's turns in order."""

from __future__ import annotations

from collections import OrderedDict, deque

from starpod.agent.turn import Turn


class Slots:
    """Places for running turns. A turn's `go` is set when it has one."""

    def __init__(self) -> None:
        self.taken = 0
        # Whose waiting turns come next stands first; whoever had a turn goes behind the others.
        self._waiting: OrderedDict[str, deque[Turn]] = OrderedDict()

    def ask(self, turn: Turn) -> None:
        """Let a turn run, now or when it is its person's turn."""
        self._waiting.setdefault(turn.user_id, deque()).append(turn)
        self.hand_out()

    def leave(self, turn: Turn) -> None:
        """The turn has ended, or waits no longer. Its place stays free until `hand_out`."""
        if turn.has_slot:
            turn.has_slot = False
            self.taken -= 1
        elif turn in (theirs := self._waiting.get(turn.user_id, deque())):
            theirs.remove(turn)
            if not theirs:
                del self._waiting[turn.user_id]

    def hand_out(self) -> None:
        """Give away what is free."""
        while self._waiting:
            user_id, theirs = next(iter(self._waiting.items()))
            if self.taken >= theirs[0].config.turns.max_parallel:
                return
            turn = theirs.popleft()
            if theirs:
                self._waiting.move_to_end(user_id)
            else:
                del self._waiting[user_id]
            self.taken += 1
            turn.has_slot = True
            turn.go.set()
