"""A workspace with a person of every role, and what people can do there."""

from dataclasses import dataclass, field

from broadcast.accounts import Accounts
from broadcast.invitations import Invitations
from broadcast.mail import Mailer
from broadcast.members import ROLES
from broadcast.passwords import Passwords
from broadcast.store import Store, audit, users
from broadcast.store.audit import Entry
from broadcast.store.users import User
from broadcast.store.workspaces import Workspace
from broadcast.vault import KeyRing, Vault, new_key
from tests.broadcast.store.rows import NOW_US

PASSWORD = "correct horse"
PUBLIC_URL = "https://broadcast.example.com"
ADDRESS = "192.0.2.1"
VAULT = Vault(KeyRing.parse(new_key()))


@dataclass
class Clock:
    now_us: int = NOW_US

    def __call__(self) -> int:
        return self.now_us


@dataclass(kw_only=True)
class People:
    """A team with an owner, an admin, a member and a viewer, and a stranger, each called by the role."""

    store: Store
    mailer: Mailer | None = None
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.accounts = Accounts(self.store, b"s" * 32, VAULT, self.clock)
        self.invitations = Invitations(self.store, self.accounts, self.mailer, PUBLIC_URL, self.clock)
        self.passwords = Passwords(self.store, self.mailer, PUBLIC_URL, self.clock)
        self.team = self.workspace()

    def workspace(self, name: str = "Team") -> Workspace:
        """Make a workspace that the owner owns."""
        return self.accounts.create_workspace(name=name, owner=self.person("owner"), now_us=self.clock())

    def person(self, name: str) -> User:
        """Return somebody by name, made at the first call; nobody can log in as them."""
        with self.store.write() as conn:
            found = users.by_email(conn, f"{name}@example.com")
            return found or users.create(
                conn, email=f"{name}@example.com", password_hash="!", now_us=self.clock()
            )

    def member(self, role: str, name: str | None = None) -> User:
        """Return the person of a role, in the team."""
        person = self.person(name or role)
        if self.role_of(person) is None and role in ROLES:
            with self.store.write() as conn:
                users.add_member(conn, workspace_id=self.team.id, user_id=person.id, role=role)
        return person

    def role_of(self, person: User) -> str | None:
        with self.store.read() as conn:
            return users.role_of(conn, self.team.id, person.id)

    def trail(self) -> list[Entry]:
        """Return what was written down of the team, newest first."""
        with self.store.read() as conn:
            return audit.list_for(conn, self.team.id, 100)

    def token(self, link: str) -> str:
        return link.rsplit("/", 1)[-1]
