#!/bin/sh
# Names what is missing or too old, and what to install. Arguments: the Python to use, and the cluster to use if any.
python=$1
kafka=$2
trouble=0

if [ -z "$python" ] || ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "paynotify needs Python 3.11 or newer; found: ${python:-none}. Install it (Debian: apt-get install python3 python3-venv) or name it with PYTHON=/path/to/python3." >&2
    trouble=1
elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "This Python has no venv module. Install it (Debian: apt-get install python3-venv)." >&2
    trouble=1
fi

# a cluster of one's own needs neither Java nor Maven
if [ -z "$kafka" ]; then
    if ! command -v java >/dev/null 2>&1; then
        echo "The local Apache Kafka needs Java 17 or newer; found none. Install it (Debian: apt-get install openjdk-17-jre-headless) or use your cluster with KAFKA=host:port." >&2
        trouble=1
    else
        version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
        if [ "${version:-0}" -lt 17 ]; then
            echo "The local Apache Kafka needs Java 17 or newer; found Java ${version:-of unknown version}. Install it (Debian: apt-get install openjdk-17-jre-headless) or use your cluster with KAFKA=host:port." >&2
            trouble=1
        fi
    fi
    if ! command -v mvn >/dev/null 2>&1; then
        echo "Apache Kafka is fetched with Maven; found no mvn. Install it (Debian: apt-get install maven) or use your cluster with KAFKA=host:port." >&2
        trouble=1
    fi
fi
exit $trouble
