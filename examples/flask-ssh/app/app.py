# Copyright (c) The tfdelivery authors
# SPDX-License-Identifier: MPL-2.0

"""A guest book: whoever signs it is remembered, across versions too."""

import json
import os
from pathlib import Path

from flask import Flask, jsonify, request

VERSION = (Path(__file__).parent / "VERSION").read_text().strip()
LONGEST_NAME = 80


def create_app(book=None):
    """Make the application. Signatures are kept in the file book, by default
    in the directory "book", which deployments share."""
    app = Flask(__name__)
    book = Path(book or Path(__file__).parent / "book" / "signatures.jsonl")

    @app.get("/")
    def index():
        greeting = os.environ.get("GREETING", "Welcome")
        return jsonify(greeting=greeting, version=VERSION, signatures=signatures())

    @app.post("/sign")
    def sign():
        name = request.form.get("name", "").strip()
        if not name or len(name) > LONGEST_NAME:
            return jsonify(error=f"a name has 1 to {LONGEST_NAME} characters"), 400
        book.parent.mkdir(parents=True, exist_ok=True)
        with book.open("a") as file:
            file.write(json.dumps(name) + "\n")
        return jsonify(signed=name), 201

    @app.get("/healthz")
    def healthz():
        signatures()  # unreadable signatures are not healthy
        return jsonify(status="ok", version=VERSION)

    def signatures():
        if not book.exists():
            return []
        return [json.loads(line) for line in book.read_text().splitlines()]

    return app


app = create_app()
