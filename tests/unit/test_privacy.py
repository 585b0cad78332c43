"""Key ring, sealing, blind index, masks: what opens, what does not, and what others must not see."""

import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmgmt.config import Settings
from gridmgmt.errors import ConflictError, GridmgmtError, InputError, NotFoundError, SetupError, TamperedError
from gridmgmt.privacy.blind import blind, blind_many
from gridmgmt.privacy.cipher import SALT_BYTES, Sm4Gcm, key_id, new_salts, seal, seal_many, unseal
from gridmgmt.privacy.keyring import Algorithm, KeyRing
from gridmgmt.privacy.masks import mask_identity, mask_name, mask_phone

NUMBER, PHONE = "11010519491231002X", "13812345678"
SALT, OTHER_SALT = bytes(range(16)), bytes(range(1, 17))


def here(home: Path, cipher: str = "aes-256-gcm") -> Settings:
    return Settings(home=home, database_url=None, secret_key=None, basemap=None, cipher=cipher)


@pytest.fixture(scope="module", params=list(Algorithm))
def ring(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing.opened(here(tmp_path_factory.mktemp("ring"), request.param))


# --- sealing ---


@given(
    clear=st.one_of(st.text(), st.sampled_from(["", "王小明", "𠮷野家", "a\0b"])), field=st.text(max_size=20)
)
def test_any_text_comes_back(ring: KeyRing, clear: str, field: str) -> None:
    sealed = seal(ring, SALT, field, clear)
    assert unseal(ring, SALT, field, sealed) == unseal(ring, SALT, field, memoryview(sealed)) == clear
    assert len(sealed) == len(clear.encode()) + 29


def test_a_sealed_value_shows_its_key_and_never_twice_the_same_bytes(ring: KeyRing) -> None:
    values = {seal(ring, SALT, "phone", PHONE) for _ in range(1000)}
    assert len(values) == 1000
    assert {key_id(value) for value in values} == {ring.active}
    assert not any(PHONE.encode() in value for value in values)
    assert key_id(b"") == 0


def test_every_single_flipped_bit_is_noticed(ring: KeyRing) -> None:
    sealed = seal(ring, SALT, "identity_number", NUMBER)
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(TamperedError):
            unseal(ring, SALT, "identity_number", bytes(changed))


def test_every_shorter_or_longer_token_is_noticed(ring: KeyRing) -> None:
    sealed = seal(ring, SALT, "phone", PHONE)
    for wrong in [
        *(sealed[:size] for size in range(len(sealed))),
        sealed + b"\0",
        sealed[1:],
        b"\0" + sealed,
    ]:
        with pytest.raises(TamperedError):
            unseal(ring, SALT, "phone", wrong)


@given(salt=st.binary(max_size=20).filter(lambda salt: salt != SALT))
def test_a_value_opens_with_no_other_persons_salt_and_with_none(ring: KeyRing, salt: bytes) -> None:
    with pytest.raises(TamperedError):
        unseal(ring, salt, "phone", seal(ring, SALT, "phone", PHONE))


def test_a_value_moved_to_another_field_is_noticed(ring: KeyRing) -> None:
    with pytest.raises(TamperedError, match="identity_number"):
        unseal(ring, SALT, "identity_number", seal(ring, SALT, "phone", PHONE))


def test_another_ring_with_the_same_key_id_opens_nothing(ring: KeyRing, tmp_path: Path) -> None:
    with pytest.raises(TamperedError):
        unseal(KeyRing.opened(here(tmp_path)), SALT, "phone", seal(ring, SALT, "phone", PHONE))


@given(
    people=st.lists(st.tuples(st.none() | st.text(max_size=5), st.none() | st.text(max_size=5)), max_size=6)
)
def test_many_at_once_are_what_one_by_one_are(
    ring: KeyRing, people: list[tuple[str | None, str | None]]
) -> None:
    salts = new_salts(len(people))
    fields = {"name": [name for name, _ in people], "phone": [phone for _, phone in people]}
    sealed = seal_many(ring, salts, fields)
    assert list(sealed) == list(fields)
    for field, texts in fields.items():
        opened = [
            None if value is None else unseal(ring, salt, field, value)
            for salt, value in zip(salts, sealed[field], strict=True)
        ]
        assert opened == texts


def test_no_two_people_share_a_salt() -> None:
    salts = new_salts(10_000)
    assert (len(set(salts)), {len(salt) for salt in salts}) == (10_000, {SALT_BYTES})
    assert new_salts(0) == []


def test_what_does_not_fit_together_is_refused_without_quoting_it(ring: KeyRing) -> None:
    wrong: list[Callable[[], object]] = [
        lambda: seal(ring, SALT[:15], "phone", PHONE),
        lambda: seal_many(ring, [SALT, b""], {"phone": [PHONE, PHONE]}),
        lambda: seal_many(ring, [SALT], {"phone": [PHONE, PHONE]}),
        lambda: seal(ring, SALT, "phone", PHONE + "\ud800"),
        lambda: blind(ring, "phone", PHONE + "\ud800"),
    ]
    for call in wrong:
        with pytest.raises(InputError) as refused:
            call()
        assert PHONE not in str(refused.value)
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_sm4_gcm_gives_the_published_vector() -> None:
    """RFC 8998, Appendix A.1: 64 bytes of text, 20 of associated data."""
    box = Sm4Gcm(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    nonce = bytes.fromhex("00001234567800000000ABCD")
    data = bytes.fromhex("".join(letter * 16 for letter in "ABCDEFEA"))
    bound = bytes.fromhex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2")
    sealed = bytes.fromhex(
        "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735"
        "D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
        "83DE3541E4C2B58177E065A9BF7B62EC"
    )
    assert box.encrypt(nonce, data, bound) == sealed
    assert box.decrypt(nonce, sealed, bound) == data


# --- the key ring ---


def test_after_a_new_key_old_values_open_and_new_ones_carry_its_id(tmp_path: Path) -> None:
    ring = KeyRing.opened(here(tmp_path))
    old = seal(ring, SALT, "phone", PHONE)
    assert ring.add("sm4-gcm") == ring.active == 2
    new = seal(ring, SALT, "phone", PHONE)
    assert ring.add() == 3
    assert (key_id(old), key_id(new), key_id(seal(ring, SALT, "phone", PHONE))) == (1, 2, 3)
    again = KeyRing.opened(here(tmp_path))
    assert (again.kids, again.active, again.active_key.algorithm) == ((1, 2, 3), 3, Algorithm.AES_256_GCM)
    assert [unseal(again, SALT, "phone", value) for value in (old, new)] == [PHONE, PHONE]


def test_the_blind_index_survives_a_new_key(tmp_path: Path) -> None:
    ring = KeyRing.opened(here(tmp_path))
    before = blind(ring, "phone", PHONE)
    ring.add()
    assert blind(KeyRing.opened(here(tmp_path)), "phone", PHONE) == before


def test_a_retired_key_opens_nothing_more_and_its_id_never_comes_again(tmp_path: Path) -> None:
    ring = KeyRing.opened(here(tmp_path))
    old = seal(ring, SALT, "phone", PHONE)
    with pytest.raises(ConflictError, match="add a new key first"):
        ring.retire(1)
    ring.add()
    ring.retire(1)
    assert ring.kids == KeyRing.opened(here(tmp_path)).kids == (2,)
    with pytest.raises(TamperedError, match="sealed with key 1, which the key ring does not hold"):
        unseal(ring, SALT, "phone", old)
    with pytest.raises(NotFoundError):
        ring.retire(1)
    assert ring.add() == 3


def test_keys_added_through_two_open_rings_are_all_there(tmp_path: Path) -> None:
    one, other = KeyRing.opened(here(tmp_path)), KeyRing.opened(here(tmp_path))
    assert (one.add(), other.add(), one.add()) == (2, 3, 4)
    assert KeyRing.opened(here(tmp_path)).kids == (1, 2, 3, 4)


def test_the_ring_is_full_with_255_keys(tmp_path: Path) -> None:
    path = here(tmp_path).keyring_file()
    KeyRing.opened(here(tmp_path))
    content = json.loads(path.read_text())
    content |= {"active": 255, "keys": {"255": content["keys"]["1"]}}
    path.write_text(json.dumps(content))
    with pytest.raises(SetupError, match="all 255 key ids"):
        KeyRing.opened(here(tmp_path)).add()


def test_an_unknown_cipher_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="aes-256-gcm or sm4-gcm"):
        KeyRing.opened(here(tmp_path, cipher="rot13"))
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        KeyRing.opened(here(tmp_path)).add()
    finally:
        os.umask(before)
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {
        "keyring.json": "0o600",
        "keyring.json.lock": "0o600",
    }


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610])
def test_a_file_that_others_get_at_is_not_read_even_when_it_was_before(tmp_path: Path, mode: int) -> None:
    KeyRing.opened(here(tmp_path))
    here(tmp_path).keyring_file().chmod(mode)
    with pytest.raises(SetupError, match="chmod 600"):
        KeyRing.opened(here(tmp_path))


def damaged(content: dict) -> list[str]:
    first = content["keys"]["1"]
    changes: list[dict] = [
        {"version": 2},
        {"active": 2},
        {"active": None},
        {"keys": {}},
        {"keys": []},
        {"keys": {"0": first}, "active": 0},
        {"keys": {"256": first}, "active": 256},
        {"keys": {"1": {**first, "algorithm": "des"}}},
        {"keys": {"1": {**first, "key": first["key"][:-4]}}},
        {"keys": {"1": {**first, "key": "!" + first["key"]}}},
        {"index_key": "AAAA"},
    ]
    return ["", "[]", json.dumps(content)[:-9], *(json.dumps({**content, **change}) for change in changes)]


def test_a_damaged_file_is_named_and_nothing_of_it_shown(tmp_path: Path) -> None:
    KeyRing.opened(here(tmp_path))
    path = here(tmp_path).keyring_file()
    content = json.loads(path.read_text())
    for text in damaged(content):
        path.write_text(text)
        with pytest.raises(SetupError, match=r"keyring\.json: damaged") as refused:
            KeyRing.opened(here(tmp_path))
        assert content["keys"]["1"]["key"][:8] not in str(refused.value)
        assert refused.value.__suppress_context__


def test_a_ring_never_prints_its_secrets(tmp_path: Path) -> None:
    ring = KeyRing.opened(here(tmp_path))
    shown = f"{ring!r} {ring.active_key!r} {vars(ring)!r}"
    assert repr(ring.active_key.secret) not in shown
    assert repr(ring.index_key) not in shown


def test_a_key_added_by_another_program_is_seen_at_the_next_opening(tmp_path: Path) -> None:
    opened = KeyRing.opened(here(tmp_path))
    added = in_other_processes(tmp_path, count=1, add=True)
    assert (opened.active, added, KeyRing.opened(here(tmp_path)).active) == (1, [2], 2)


def test_programs_that_make_the_ring_at_once_end_with_one(tmp_path: Path) -> None:
    for turn in range(5):
        found = in_other_processes(tmp_path / str(turn), count=6)
        assert len(set(found)) == 1


def test_programs_that_add_keys_at_once_lose_none(tmp_path: Path) -> None:
    assert sorted(in_other_processes(tmp_path, count=6, add=True)) == [2, 3, 4, 5, 6, 7]
    assert KeyRing.opened(here(tmp_path)).kids == (1, 2, 3, 4, 5, 6, 7)


def in_other_processes(home: Path, count: int, add: bool = False) -> list[object]:
    """Return the index key, or the id of the key they added, of processes that begin at the same moment."""
    forked = multiprocessing.get_context("fork")
    barrier, answers = forked.Barrier(count), forked.SimpleQueue()

    def child() -> None:
        barrier.wait(20)
        ring = KeyRing.opened(here(home))
        answers.put(ring.add() if add else ring.index_key)

    children = [forked.Process(target=child) for _ in range(count)]
    for process in children:
        process.start()
    for process in children:
        process.join(20)
    assert {process.exitcode for process in children} == {0}
    return [answers.get() for _ in children]


def test_a_crash_while_writing_leaves_the_old_ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = KeyRing.opened(here(tmp_path))
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(SetupError, match="No space left"):
            ring.add()
    assert (ring.kids, KeyRing.opened(here(tmp_path)).kids) == ((1,), (1,))
    assert ring.add() == 2


def test_the_settings_say_where_the_ring_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDMGMT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GRIDMGMT_CIPHER", "sm4-gcm")
    ring = KeyRing.opened()
    assert (ring.path, ring.active_key.algorithm) == (tmp_path / "home" / "keyring.json", "sm4-gcm")
    monkeypatch.setenv("GRIDMGMT_KEYRING", str(tmp_path / "keys" / "ring.json"))
    assert KeyRing.opened().path == tmp_path / "keys" / "ring.json"


# --- the blind index ---


def test_equal_texts_of_a_field_are_found_and_nothing_else(ring: KeyRing) -> None:
    found = blind_many(ring, "phone", [PHONE, None, PHONE, "13812345679"])
    assert found[0] == found[2] == blind(ring, "phone", PHONE).bytes
    assert found[1] is None
    values = {found[0], found[3], blind(ring, "identity_number", PHONE).bytes, blind(ring, "phone", "").bytes}
    assert len(values) == 4
    assert isinstance(blind(ring, "phone", PHONE), UUID)


def test_another_ring_finds_nothing(ring: KeyRing, tmp_path: Path) -> None:
    assert blind(KeyRing.opened(here(tmp_path)), "phone", PHONE) != blind(ring, "phone", PHONE)


# --- masks ---


@pytest.mark.parametrize(
    ("mask", "text", "shown"),
    [
        (mask_identity, NUMBER, "110105********002X"),
        (mask_identity, "110105491231002", "***************"),
        (mask_identity, "", ""),
        (mask_phone, PHONE, "138****5678"),
        (mask_phone, "010-12345678", "010-****5678"),
        (mask_phone, "0635-8123456", "0635-****456"),
        (mask_phone, "06358123456x", "************"),
        (mask_name, "王小明", "王**"),
        (mask_name, "王", "*"),
        (mask_name, "", ""),
    ],
)
def test_a_mask_shows_what_it_may(mask: Callable[[str], str], text: str, shown: str) -> None:
    assert mask(text) == shown


@settings(max_examples=50)
@given(st.text(max_size=30))
def test_a_mask_of_anything_is_as_long_and_hides_all_but_a_few(text: str) -> None:
    for mask, most in ((mask_identity, 10), (mask_phone, 9), (mask_name, 1)):
        shown = mask(text)
        assert len(shown) == len(text)
        assert len(text) - shown.count("*") <= most
        assert shown != text or not text.strip("*")


def test_tampering_is_an_error_of_ours_with_its_own_exit_code() -> None:
    codes = {kind.exit_code for kind in GridmgmtError.__subclasses__()}
    assert len(codes) == len(GridmgmtError.__subclasses__())
    assert (TamperedError.exit_code, TamperedError.http_status) == (7, 500)
