"""Sign-ins that are under way at the identity provider: the hash of what names one, never the name."""

from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert

from broadcast.store.people_tables import sign_ins


@dataclass(frozen=True, kw_only=True, slots=True)
class SignIn:
    """What a browser went away with: `next` is where it wants to, `invitation_hash` what it wants to join."""

    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    next: str
    invitation_hash: str | None = field(repr=False)


def create(
    conn: Connection,
    sign_in: SignIn,
    *,
    state_hash: str,
    browser_hash: str,
    now_us: int,
    expires_at_us: int,
) -> None:
    """Store what a browser went away with."""
    conn.execute(
        insert(sign_ins).values(
            state_hash=state_hash,
            browser_hash=browser_hash,
            nonce=sign_in.nonce,
            verifier=sign_in.verifier,
            next=sign_in.next,
            invitation_hash=sign_in.invitation_hash,
            created_at_us=now_us,
            expires_at_us=expires_at_us,
        )
    )


def claim(conn: Connection, *, state_hash: str, browser_hash: str, now_us: int) -> SignIn | None:
    """Return what this browser went away with, and take it from everybody else; None where it did not."""
    row = conn.execute(
        delete(sign_ins)
        .where(
            sign_ins.c.state_hash == state_hash,
            sign_ins.c.browser_hash == browser_hash,
            sign_ins.c.expires_at_us > now_us,
        )
        .returning(sign_ins.c.nonce, sign_ins.c.verifier, sign_ins.c.next, sign_ins.c.invitation_hash)
    ).one_or_none()
    return SignIn(**row._asdict()) if row else None
