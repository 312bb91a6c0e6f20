"""Each example with its receiver: read from the files that the page says to apply."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import quote

from infra.examples.relay.relay import relay_of
from shared.model.outbound.posting import Posting
from tests.examples import pages, plain_yaml
from tests.examples.events import HOST, IMAGE
from tests.examples.receivers.argocd import ArgoImageUpdater
from tests.examples.receivers.asked import Answer
from tests.examples.receivers.behind_relays import GitHub
from tests.examples.receivers.flux import Flux
from tests.examples.receivers.jenkins import (
    GenericTrigger,
    JenkinsGenericTrigger,
    JenkinsRegistryNotification,
)
from tests.examples.receivers.kargo import Kargo
from tests.examples.receivers.keel import Keel
from tests.examples.receivers.kudu import Kudu
from tests.examples.receivers.own import Own
from tests.examples.receivers.pipelines import AzurePipelines, Pipeline
from tests.examples.relayed import Relayed

_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver(Protocol):
    """A model of a receiver."""

    def hears(self, posting: Posting) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Example:
    """A page's webhook, the files that its command reads, and who hears it.

    `other` is the same receiver with another secret. A tag that is pushed sets `starts` going.
    """

    page: str
    webhook: str
    files: Mapping[str, str]
    receiver: Receiver
    other: Receiver
    starts: str
    tag: str = "1.2.4"


type Make = Callable[[], Example]


def _kind(documents: list[Any], kind: str) -> dict[str, Any]:
    (found,) = (each for each in documents if each["kind"] == kind)
    return dict(found)


def argocd() -> Example:
    page = "argocd-image-updater"
    read = plain_yaml.documents(pages.of(page, "argocd-image-updater.yaml"))
    assert _kind(read, "ConfigMap")["data"] == {"webhook.enable": "true"}
    secret = _kind(read, "Secret")["stringData"]["webhook.acr-secret"]
    receiver = ArgoImageUpdater({"acr": secret}, [IMAGE])
    other = replace(receiver, secrets={"acr": "another"})
    return Example(
        page, "argocd", {"argocd.header": f"Authorization={secret}\n"}, receiver, other, IMAGE
    )


def kargo() -> Example:
    read = plain_yaml.documents(pages.of("kargo", "project-config.yaml"))
    config, secret = _kind(read, "ProjectConfig"), _kind(read, "Secret")
    (listed,) = config["spec"]["webhookReceivers"]
    assert listed["azure"]["secretRef"]["name"] == secret["metadata"]["name"]
    warehouse = _kind(read, "Warehouse")
    (subscription,) = warehouse["spec"]["subscriptions"]
    receiver = Kargo(
        config["metadata"]["name"],
        listed["name"],
        secret["stringData"]["secret"],
        {subscription["image"]["repoURL"]: warehouse["metadata"]["name"]},
    )
    files = {"kargo.uri": f"https://kargo.example.com{receiver.path}"}
    return Example("kargo", "kargo", files, receiver, replace(receiver, secret="another"), "app")


def keel() -> Example:
    values = plain_yaml.document(pages.of("keel", "keel-values.yaml"))["basicauth"]
    workload = plain_yaml.document(pages.of("keel", "deployment.yaml"))
    assert workload["metadata"]["annotations"]["keel.sh/policy"] == "minor"
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    image = container["image"].rpartition(":")[0]
    receiver = Keel(values["user"], values["password"], [image])
    pair = f"{values['user']}:{quote(values['password'])}"
    files = {"keel.uri": f"https://{pair}@keel.example.com/v1/webhooks/azure"}
    other = replace(receiver, password="another")
    return Example("keel", "keelhook", files, receiver, other, f"{IMAGE}:1.2.4")


def flux() -> Example:
    read = plain_yaml.documents(pages.of("flux", "receiver.yaml"))
    receiver, secret = _kind(read, "Receiver"), _kind(read, "Secret")
    spec = receiver["spec"]
    assert spec["secretRef"]["name"] == secret["metadata"]["name"]
    token = secret["stringData"]["token"]
    model = Flux(
        spec["type"],
        receiver["metadata"]["name"],
        receiver["metadata"]["namespace"],
        token,
        [each["name"] for each in spec["resources"]],
        spec["resourceFilter"],
    )
    files = {"flux.secret": token, "flux.uri": f"https://flux.example.com{model.path}"}
    other = _SameAddress(replace(model, token="another"), model.path)
    return Example("flux", "fluxhook", files, model, other, "app")


@dataclass(frozen=True, slots=True)
class _SameAddress:
    """A Flux whose token is another, asked where it is all the same: by its signature alone."""

    model: Flux
    path: str

    def hears(self, posting: Posting) -> Answer:
        assert posting.url.endswith(self.path)
        moved = posting.url.removesuffix(self.path) + self.model.path
        return self.model.hears(replace(posting, url=moved))


def jenkins() -> Example:
    text = pages.of("jenkins", "Jenkinsfile")
    variables = dict(re.findall(r"\[key: '(\w+)', value: '([^']+)'\]", text))
    strings = dict(re.findall(r"^ +(\w+): '(.*)',?$", text, re.MULTILINE))
    job = GenericTrigger(
        "deploy",
        "a token",
        variables,
        strings["regexpFilterText"],
        strings["regexpFilterExpression"],
    )
    receiver = JenkinsGenericTrigger([job], "X-Registry-Signature", "jenkins secret")
    uri = "https://jenkins.example.com/generic-webhook-trigger/invoke?token=a%20token"
    files = {"jenkins.uri": uri, "jenkins.secret": "jenkins secret"}
    other = replace(receiver, hmac_secret="another")
    return Example("jenkins", "jenkins", files, receiver, other, "deploy")


def jenkins_acr() -> Example:
    receiver = JenkinsRegistryNotification("1a2b3c", {IMAGE: "deploy"})
    files = {"jenkins-acr.uri": "https://jenkins.example.com/acr-webhook/1a2b3c/notify"}
    other = replace(receiver, token="another")
    return Example("jenkins", "jenkinsacr", files, receiver, other, "deploy", "latest")


def app_service() -> Example:
    receiver = Kudu("app", "$app", "p@ss word")
    uri = "https://$app:p%40ss%20word@app.scm.azurewebsites.net/api/registry/webhook"
    files, other = {"app-service.uri": uri}, replace(receiver, password="another")
    return Example("app-service", "appservice", files, receiver, other, "restart app", "latest")


def pipelines() -> Example:
    read = plain_yaml.document(pages.of("azure-pipelines", "azure-pipelines.yml"))
    (webhook,) = read["resources"]["webhooks"]
    filters = {each["path"]: each["value"] for each in webhook["filters"]}
    told = " ".join(read["steps"][0]["env"].values())
    reads = re.findall(rf"{{{{ parameters\.{webhook['webhook']}\.([\w.]+) }}}}", told)
    pipeline = Pipeline("deploy", filters, reads)
    receiver = AzurePipelines(
        "example", webhook["connection"], "X-Hub-Signature", "pipelines secret", [pipeline]
    )
    files, other = {"pipelines.secret": "pipelines secret"}, replace(receiver, secret="another")
    starts = f"deploy registry.example.com sha256:{'4e' * 32} 1.2.4"
    return Example("azure-pipelines", "pipelines", files, receiver, other, starts)


def relay() -> Example:
    github = GitHub("team/app", "a token")
    url = "https://api.github.com/repos/team/app/dispatches"
    receiver = Relayed(relay_of("github", url, _SECRET, HOST, "a token"), github)
    other = Relayed(relay_of("github", url, "another", HOST, "a token"), github)
    return Example("relay", "relay", {"relay.secret": _SECRET}, receiver, other, "image-pushed")


def own() -> Example:
    files, starts = {"receiver.secret": _SECRET}, f"{IMAGE}:1.2.4"
    return Example("receiver", "receiver", files, Own(_SECRET), Own("another"), starts)


EXAMPLES: list[Make] = [
    own,
    argocd,
    kargo,
    keel,
    flux,
    jenkins,
    jenkins_acr,
    app_service,
    pipelines,
    relay,
]
