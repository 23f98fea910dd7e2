"""What a file's source says is the same whether it was parsed now or by an earlier process."""

import pytest

from active_rlhf.run import syntax

TEXT = 'from ..a import b, c\nimport d.e\n"""Docs."""\nx = "caf\\ud800é"\n'


def read_anew(path):
    syntax._read.cache_clear()
    return syntax.read(path)


@pytest.mark.parametrize("damage", ["", "{", '{"digest": 1}', "[]", "\x00"])
def test_what_was_parsed_is_kept_and_parsed_again_only_if_damaged(damage, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "a.py").write_text(TEXT)
    first = read_anew(tmp_path / "a.py")
    assert set(first.imports("p.q.r", False)) == {"p.a", "p.a.b", "p.a.c", "d.e"}
    with monkeypatch.context() as broken:
        broken.setattr(syntax, "parsed", None)
        assert read_anew(tmp_path / "a.py") == first
    (kept,) = tmp_path.glob("cache/active-rlhf/sources/*/*.json")
    kept.write_text(damage)
    assert read_anew(tmp_path / "a.py") == first
    (tmp_path / "a.py").write_text(TEXT.replace("d.e", "d.f"))
    assert read_anew(tmp_path / "a.py").digest != first.digest


def test_without_a_place_to_keep_it_it_is_parsed_every_time(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text(TEXT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a.py"))
    assert "d.e" in set(read_anew(tmp_path / "a.py").imports("p", False))
