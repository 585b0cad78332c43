#!/bin/sh
# install.sh [--prefix FOLDER] [--no-system]: installs this bundle, without a network. Safe to repeat.
#
#   (nothing)        as root: Debian packages, /opt/gridmgmt/<version>, user, /etc/gridmgmt, systemd units
#   --no-system      no Debian packages, user, settings or units: the program alone, for a trial
#   --prefix FOLDER  instead of /opt/gridmgmt
#
# A version is installed beside those that are there; `current` points at the one in use. A failed run leaves
# `current` where it was.
set -eu
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
unset PYTHONPATH PYTHONHOME
here=$(dirname "$(readlink -f "$0")")
prefix=/opt/gridmgmt
system=yes
say() { printf '· %s\n' "$*"; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 6; }
while [ $# -gt 0 ]; do
    case $1 in
    --prefix) prefix=$(realpath -m "${2:?--prefix FOLDER}"); shift 2 ;;
    --no-system) system=no; shift ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
done
[ "$system" = no ] || [ "$(id -u)" = 0 ] || die "run it as root, or try it with --no-system --prefix FOLDER"
umask 022

. "$here/VERSION"
release=$prefix/$version-$commit

say "checking that nothing was changed on the way"
(cd "$here" && sha256sum --quiet --strict -c SHA256SUMS) || die "the bundle is damaged; copy it anew"

debian_packages() {
    say "Debian packages, from this folder alone"
    apt=$(mktemp -d)
    mkdir -p "$apt/lists/partial" "$apt/none"
    # Their sums were checked above; the folder is the only source, so that a missing one is an error and
    # not a look at the network.
    echo "deb [trusted=yes] file:$here/debian ./" >"$apt/sources.list"
    set -- -o "Dir::Etc::SourceList=$apt/sources.list" -o "Dir::Etc::SourceParts=$apt/none" \
        -o "Dir::State::Lists=$apt/lists" -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 -qq
    apt-get "$@" update
    # PostgreSQL begins at once, and so may nginx: neither listens outside before it is told to.
    xargs apt-get "$@" -y --no-install-recommends install <"$here/debian/wanted" >"$apt/log" 2>&1 ||
        { tail -20 "$apt/log" >&2; die "Debian packages: see above"; }
    rm -rf "$apt"
}

program() {
    if [ -f "$release/complete" ]; then say "$release stands"; return; fi
    say "the program, in $release"
    python=$(command -v python3.11 || command -v python3) || die "no python3"
    rm -rf "$release"
    mkdir -p "$release"
    "$python" -m venv "$release/venv" || die "python3-venv is missing"
    "$release/venv/bin/python" -m pip install -q --disable-pip-version-check --no-index --no-deps \
        --find-links "$here/wheels" --require-hashes -r "$here/requirements.txt"
    cp -r "$here/systemd" "$here/nginx" "$here/pgbouncer" "$here/sbom" "$here/VERSION" "$here/requirements.txt" "$here/database.sh" "$here"/*.md "$release/"
    touch "$release/complete"
}

secret() { # secret NAME VALUE: a file for its owner alone, unless it is there
    [ -e "/etc/gridmgmt/secrets/$1" ] && return
    (umask 077 && printf '%s\n' "$2" >"/etc/gridmgmt/secrets/$1")
    chown gridmgmt: "/etc/gridmgmt/secrets/$1"
}

random() { "$release/venv/bin/python" -c 'import secrets; print(secrets.token_urlsafe(48))'; }

account_and_settings() {
    say "user, folders, settings"
    id gridmgmt >/dev/null 2>&1 ||
        useradd --system --user-group --home-dir /var/lib/gridmgmt/city --shell /usr/sbin/nologin gridmgmt
    mkdir -p /etc/gridmgmt /var/lib/gridmgmt
    install -d -o gridmgmt -g gridmgmt -m 0700 /var/lib/gridmgmt/city /var/backups/gridmgmt
    install -d -o gridmgmt -g gridmgmt -m 0750 /var/cache/gridmgmt
    install -d -o root -g gridmgmt -m 0750 /etc/gridmgmt/secrets
    [ -e /etc/gridmgmt/gridmgmt.env ] || install -m 0644 "$here/systemd/gridmgmt.env" /etc/gridmgmt/gridmgmt.env
    # The database is reached through its socket as the user of the same name: no password anywhere.
    secret GRIDMGMT_DATABASE_URL 'postgresql://gridmgmt@/gridmgmt?host=/var/run/postgresql'
    secret GRIDMGMT_SECRET_KEY "$(random)"
    secret GRIDMGMT_METRICS_TOKEN "$(random)"
    secret GRIDMGMT_OIDC_CLIENT_SECRET ''
}

units() {
    say "systemd units and the command"
    install -m 0755 "$here/gridmgmt" /usr/local/sbin/gridmgmt
    install -m 0644 "$here"/systemd/gridmgmt*.service "$here"/systemd/gridmgmt.target /etc/systemd/system/
    if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
}

[ "$system" = no ] || debian_packages
program
if [ "$system" = yes ]; then
    account_and_settings
    units
fi
ln -sfn "$(basename "$release")" "$prefix/current.new"
mv -T "$prefix/current.new" "$prefix/current"
say "installed: $prefix/current -> $(readlink "$prefix/current")"
if [ "$system" = yes ]; then
    say "next: the database and the first account, see $here/install.md"
else
    say "try it: $prefix/current/venv/bin/gridmgmt demo --scale 0.1"
fi
