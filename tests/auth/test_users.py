"""Users: what may be changed, and the rules that keep a gateway from losing its last admin."""

from __future__ import annotations

import asyncio

import pytest

from starpod.auth.service import Auth
from starpod.auth.types import Actor, UserChanges
from starpod.errors import Conflict, InvalidInput, NotFound
from tests.fakes import FakeClock


@pytest.mark.gen_test
async def test_a_user_is_made_and_found(auth: Auth, clock: FakeClock) -> None:
    ada = await auth.create_user(" ada@example.org ", "Ada", "admin", True)
    assert (ada.email, ada.display_name, ada.role, ada.is_active, ada.filesystem_enabled) == (
        "ada@example.org",
        "Ada",
        "admin",
        True,
        True,
    )
    clock.advance(1)
    nameless = await auth.create_user()
    assert (nameless.email, nameless.display_name, nameless.role) == (None, None, "user")
    assert await auth.list_users() == [ada, nameless]
    assert await auth.get_user(ada.id) == ada
    with pytest.raises(NotFound, match="User not found"):
        await auth.get_user("nobody")


@pytest.mark.gen_test
async def test_an_email_belongs_to_one_user(auth: Auth) -> None:
    ada = await auth.create_user("ada@example.org")
    bob = await auth.create_user("bob@example.org")
    with pytest.raises(Conflict, match="email"):
        await auth.create_user("ADA@example.org")
    with pytest.raises(Conflict, match="email"):
        await auth.update_user(bob.id, UserChanges(email="ada@example.org"))
    changed = await auth.update_user(ada.id, UserChanges(email="Ada@example.org"))
    assert changed.email == "Ada@example.org"
    assert len(await auth.list_users()) == 2


@pytest.mark.gen_test
async def test_email_and_name_can_be_cleared(auth: Auth, clock: FakeClock) -> None:
    ada = await auth.create_user("ada@example.org", "Ada")
    clock.advance(5)
    unchanged = await auth.update_user(ada.id, UserChanges())
    assert unchanged == ada
    without_email = await auth.update_user(ada.id, UserChanges(email=None))
    assert (without_email.email, without_email.display_name) == (None, "Ada")
    cleared = await auth.update_user(ada.id, UserChanges(display_name=" "))
    assert cleared.display_name is None and cleared.updated_at == clock.now()
    assert await auth.get_user(ada.id) == cleared
    events = [(event.event_type, event.detail) for event in await auth.list_audit()]
    assert events == [("user_updated", "display_name"), ("user_updated", "email"), ("user_created", "role user")]


@pytest.mark.parametrize("email", ["no at sign", "@x", "x@", "a b@example.org", "x" * 320 + "@y"])
@pytest.mark.gen_test
async def test_what_is_no_email_is_refused(auth: Auth, email: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await auth.create_user(email)
    assert "email" in caught.value.fields


@pytest.mark.gen_test
async def test_other_bad_input_is_refused(auth: Auth) -> None:
    user = await auth.create_user()
    with pytest.raises(InvalidInput):
        await auth.create_user(display_name="x" * 201)
    with pytest.raises(InvalidInput):
        await auth.update_user(user.id, UserChanges(role="root"))  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        await auth.update_user("nobody", UserChanges(email="x@example.org"))
    with pytest.raises(NotFound):
        await auth.set_active("nobody", True)


@pytest.mark.gen_test
async def test_the_last_active_admin_stays(auth: Auth) -> None:
    admin = await auth.create_user(role="admin")
    other = await auth.create_user(role="admin")
    await auth.set_active(other.id, False)
    with pytest.raises(Conflict, match="last active admin"):
        await auth.update_user(admin.id, UserChanges(role="user"))
    with pytest.raises(Conflict, match="last active admin"):
        await auth.set_active(admin.id, False)
    assert await auth.get_user(admin.id) == admin
    await auth.set_active(other.id, True)
    assert (await auth.update_user(admin.id, UserChanges(role="user"))).role == "user"


@pytest.mark.gen_test
async def test_two_admins_cannot_remove_each_other(auth: Auth, other_process: Auth) -> None:
    one, two = await auth.create_user(role="admin"), await auth.create_user(role="admin")
    answers = await asyncio.gather(
        auth.update_user(two.id, UserChanges(role="user")),
        other_process.set_active(one.id, False),
        return_exceptions=True,
    )
    assert sorted(isinstance(answer, Conflict) for answer in answers) == [False, True]
    assert any(user.role == "admin" and user.is_active for user in await auth.list_users())


@pytest.mark.gen_test
async def test_nobody_deactivates_themselves(auth: Auth) -> None:
    admin = await auth.create_user(role="admin")
    await auth.create_user(role="admin")
    with pytest.raises(InvalidInput, match="Cannot deactivate yourself"):
        await auth.set_active(admin.id, False, actor=Actor(admin.id))


@pytest.mark.gen_test
async def test_deactivated_users_still_count_as_users(auth: Auth, other_process: Auth) -> None:
    user = await auth.create_user()
    await auth.set_active(user.id, False)
    assert await other_process.has_users() is True


@pytest.mark.gen_test
async def test_activation_is_audited_when_it_changes_something(auth: Auth) -> None:
    user = await auth.create_user()
    for active in (True, False, False, True):
        await auth.set_active(user.id, active, actor=Actor("boss", "10.0.0.1"))
    events = await auth.list_audit(2)
    assert [event.event_type for event in events] == ["user_activated", "user_deactivated"]
    assert {(event.user_id, event.detail, event.ip_address) for event in events} == {(user.id, "by boss", "10.0.0.1")}
    assert len(await auth.list_audit()) == 3
