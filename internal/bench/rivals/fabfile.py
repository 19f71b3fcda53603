"""deploy.py USER KEY KNOWN_HOSTS ARCHIVE DIRECTORY ADDRESS..."""

import sys

from fabric import Config, ThreadingGroup
from paramiko import RejectPolicy

user, key, known_hosts, archive, directory = sys.argv[1:6]

group = ThreadingGroup(
    *sys.argv[6:],
    user=user,
    config=Config(overrides={"load_ssh_configs": False}),
    connect_kwargs={"key_filename": key, "allow_agent": False, "look_for_keys": False},
)
for connection in group:
    connection.client.load_host_keys(known_hosts)
    connection.client.set_missing_host_key_policy(RejectPolicy())

group.put(archive, "/tmp/app.tar.gz")
group.run(
    "set -e;"
    f" mkdir -p {directory}/releases/1;"
    f" tar -xzf /tmp/app.tar.gz -C {directory}/releases/1;"
    " rm /tmp/app.tar.gz;"
    f" ln -s releases/1 {directory}/.next;"
    f" mv -T {directory}/.next {directory}/current",
    hide=True,
)
group.close()
