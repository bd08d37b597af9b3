"""Uses a Jenkins through a gateway: python_jenkins_client.py URL TOKEN. Prints one line for each step."""

import logging
import os
import sys

import jenkins
import requests

url, token = sys.argv[1:]


def say(*words):
    print(*words, flush=True)


def finished(server, name, queue_item):
    """Waits for a build. Builds of the imitation make progress with each request."""
    for _ in range(50):
        executable = server.get_queue_item(queue_item).get("executable")
        if executable:
            break
    for _ in range(50):
        build = server.get_build_info(name, executable["number"])
        if not build["building"]:
            return build
    raise SystemExit(f"{name} does not end")


session = requests.Session()
session.trust_env = False
say("refused without a token:", session.get(url + "/api/json").status_code)

# The gateway needs a bearer token, and adds its own credential for Jenkins. The log is off because it would show the token.
logging.disable()
os.environ["JENKINS_API_EXTRA_HEADERS"] = "Authorization: Bearer " + token
os.environ["NO_PROXY"] = "*"
server = jenkins.Jenkins(url)
say("version:", server.get_version())
say("user:", server.get_whoami()["id"])
say("jobs:", *(job["name"] for job in server.get_jobs()))
say("all jobs:", *sorted(job["fullname"] for job in server.get_all_jobs()))
say("exists:", server.job_exists("team/api"), server.job_exists("nope"))

item = server.build_job("deploy", {"TARGET": "production"})
build = finished(server, "deploy", item)
parameters = [action["parameters"] for action in build["actions"] if "parameters" in action][0]
values = (f"{parameter['name']}={parameter['value']}" for parameter in parameters)
say("build: deploy", build["number"], build["result"], *values)
log = server.get_build_console_output("deploy", 1).splitlines()
say("log:", log[0], "...", log[-1])

build = finished(server, "team/api", server.build_job("team/api"))
say("build in a folder: team/api", build["number"])

item = server.build_job("soak-test")
while "executable" not in server.get_queue_item(item):
    pass
server.stop_build("soak-test", 1)
say("aborted: soak-test 1", server.get_build_info("soak-test", 1)["result"])

try:
    server.get_job_info("nope")
except jenkins.JenkinsException as error:
    say("missing:", error)
