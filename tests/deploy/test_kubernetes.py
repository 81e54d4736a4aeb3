"""The overlays, rendered by kubectl: valid, in keeping with each other, and with what the service promises."""

from __future__ import annotations

import os
from pathlib import Path

import kubernetes_validate
import pytest
from cloudcoil.models.prometheus_operator import v1 as operator

from service.__main__ import _CLOSING_SECONDS as CLOSING_SECONDS
from service.runtime import session
from service.runtime.bundle import open_bundle
from service.settings import ENV_PREFIX, Settings
from tests.deploy.manifests import DEPLOY, ROOT, RULES, Document, adapter_rule, load, only, render

KUBERNETES = DEPLOY / "kubernetes"
ARTIFACTS = ROOT / "artifacts"
LABELS = {"app.kubernetes.io/name": "seqserve"}
VERSIONS = ("1.30", kubernetes_validate.latest_version())
"""The oldest that the manifests are for, and the newest that there is."""


@pytest.fixture(scope="module", params=["cpu", "gpu"])
def overlay(request: pytest.FixtureRequest) -> list[Document]:
    return render(KUBERNETES / "overlays" / request.param)


@pytest.fixture
def pod(overlay: list[Document]) -> Document:
    return dict(only(overlay, "Deployment")["spec"]["template"]["spec"])


@pytest.fixture
def container(pod: Document) -> Document:
    (container,) = pod["containers"]
    return dict(container)


def test_what_is_applied_is_valid(overlay: list[Document]) -> None:
    for document in overlay:
        if document["apiVersion"].startswith("monitoring.coreos.com/"):
            model = getattr(operator, document["kind"]).model_validate(document)
            # A field that the operator does not know would be missing here.
            assert model.model_dump(mode="json", by_alias=True, exclude_unset=True) == document
        else:
            for version in VERSIONS:
                kubernetes_validate.validate(document, version, strict=True)


def test_volumes_of_bundles_and_keys_are_taken_up(tmp_path: Path) -> None:
    base, models, keys = (
        os.path.relpath(KUBERNETES / name, tmp_path.resolve()) for name in ("overlays/cpu", "models", "keys")
    )
    (tmp_path / "kustomization.yaml").write_text(f"resources: [{base}]\ncomponents: [{models}, {keys}]\n")
    documents = render(tmp_path)
    claim = only(documents, "PersistentVolumeClaim")
    deployment = only(documents, "Deployment")
    for document in (claim, deployment):
        kubernetes_validate.validate(document, VERSIONS[0], strict=True)
    pod = deployment["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["models"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert volumes["keys"]["secret"]["secretName"] == "seqserve-keys"
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    assert variables[f"{ENV_PREFIX}BUNDLES"] == mounts["models"]
    # A secret's only file bears the name of its source.
    assert variables[f"{ENV_PREFIX}KEY_FILE"] == f"{mounts['keys']}/keys"


def test_variables_are_settings_and_a_pod_that_ends_loses_no_request(
    pod: Document, container: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    settings = Settings()
    before_it_knows = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert settings.shutdown_grace > settings.deadline
    longest = settings.deadline + settings.shutdown_grace
    assert pod["terminationGracePeriodSeconds"] > before_it_knows + longest + CLOSING_SECONDS
    # Variables that tell of the Service would be taken for settings.
    assert pod["enableServiceLinks"] is False
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": settings.port, "metrics": settings.admin_port}


def test_probes_ask_what_the_service_answers(container: Document) -> None:
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/readyz", "readiness": "/readyz", "liveness": "/livez"}
    names = {port["name"] for port in container["ports"]}
    assert {container[f"{name}Probe"]["httpGet"]["port"] for name in paths} <= names


def test_pods_are_of_the_restricted_kind(overlay: list[Document], pod: Document, container: Document) -> None:
    labels = only(overlay, "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    (scratch,) = (mount for mount in container["volumeMounts"] if mount["name"] == "scratch")
    assert scratch["mountPath"] == "/tmp"  # noqa: S108


def test_devices_are_asked_for_where_they_are_used(container: Document) -> None:
    provider = next(each["value"] for each in container["env"] if each["name"] == f"{ENV_PREFIX}PROVIDER")
    limits, requests = container["resources"]["limits"], container["resources"]["requests"]
    assert limits.get("nvidia.com/gpu") == {"auto": "1", "cpu": None}[provider]
    assert limits["cpu"] == requests["cpu"]
    assert container["image"].endswith({"cpu": "-cpu", "auto": "-gpu"}[provider])


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_models_of_the_image_can_all_be_served(
    container: Document, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    settings = Settings()
    assert settings.strict, "one that cannot be served would end the start"
    monkeypatch.setattr(session, "cuda_available", lambda: device == "cuda")
    bundles = [path for path in ARTIFACTS.iterdir() if path.is_dir()]
    assert len(bundles) > 10
    for bundle in bundles:
        open_bundle(bundle, precision=settings.precision, provider=settings.provider)


def test_everything_points_at_the_same_pods(overlay: list[Document]) -> None:
    deployment = only(overlay, "Deployment")
    assert deployment["spec"]["selector"]["matchLabels"] == LABELS
    assert deployment["spec"]["template"]["metadata"]["labels"] == LABELS
    service = only(overlay, "Service")
    assert service["spec"]["selector"] == LABELS
    for kind in ("PodDisruptionBudget", "ServiceMonitor"):
        assert only(overlay, kind)["spec"]["selector"]["matchLabels"] == LABELS
    assert only(overlay, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == LABELS
    # Who is scraped is chosen by the Service's labels, and named by them.
    monitor = only(overlay, "ServiceMonitor")["spec"]
    assert service["metadata"]["labels"] == LABELS
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "seqserve"
    ports = {port["name"]: port["targetPort"] for port in service["spec"]["ports"]}
    (endpoint,) = monitor["endpoints"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    names = {port["name"] for port in container["ports"]}
    assert ports[endpoint["port"]] in names
    policy = only(overlay, "NetworkPolicy")["spec"]
    allowed = [{port["port"] for port in rule["ports"]} for rule in policy["ingress"]]
    assert allowed == [{ports["http"]}, {ports[endpoint["port"]]}] == [{"http"}, {"metrics"}]
    assert policy["egress"] == []
    namespaces = {document["metadata"].get("namespace") for document in overlay if document["kind"] != "Namespace"}
    assert namespaces == {only(overlay, "Namespace")["metadata"]["name"]}


def test_replicas_follow_the_queue(overlay: list[Document]) -> None:
    autoscaler = only(overlay, "HorizontalPodAutoscaler")["spec"]
    deployment = only(overlay, "Deployment")
    assert autoscaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]
    (metric,) = autoscaler["metrics"]
    assert metric["pods"]["metric"]["name"] == adapter_rule()["name"]["as"]
    # A replica may go at any time, and another is there.
    assert autoscaler["minReplicas"] > only(overlay, "PodDisruptionBudget")["spec"]["maxUnavailable"]


def test_the_operator_gets_the_rules_of_prometheus(overlay: list[Document]) -> None:
    groups = {group["name"]: group for path in RULES.glob("*.yaml") for group in load(path)["groups"]}
    assert {group["name"]: group for group in only(overlay, "PrometheusRule")["spec"]["groups"]} == groups
