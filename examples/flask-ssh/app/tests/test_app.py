# Copyright (c) The tfdelivery authors
# SPDX-License-Identifier: MPL-2.0

import pytest

from app import LONGEST_NAME, VERSION, create_app


@pytest.fixture
def client(tmp_path):
    return create_app(tmp_path / "book" / "signatures.jsonl").test_client()


def test_an_empty_book(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.json == {"greeting": "Welcome", "version": VERSION, "signatures": []}


def test_the_greeting_is_configured(client, monkeypatch):
    monkeypatch.setenv("GREETING", "Bonjour")
    assert client.get("/").json["greeting"] == "Bonjour"


def test_signatures_are_remembered(client):
    assert client.post("/sign", data={"name": " Ada "}).status_code == 201
    assert client.post("/sign", data={"name": "Grace"}).json == {"signed": "Grace"}
    assert client.get("/").json["signatures"] == ["Ada", "Grace"]


@pytest.mark.parametrize("name", ["", "   ", "x" * (LONGEST_NAME + 1)])
def test_a_bad_name_is_refused(client, name):
    answer = client.post("/sign", data={"name": name})
    assert answer.status_code == 400
    assert client.get("/").json["signatures"] == []


def test_health(client):
    assert client.get("/healthz").json == {"status": "ok", "version": VERSION}
