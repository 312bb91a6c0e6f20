"""What Event Grid tells of an object in storage, in each schema that it knows."""

from typing import Any

ABOUT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/account"
CREATED = "Microsoft.Storage.BlobCreated"
SCHEMAS = ("EventGridSchema", "CloudEventSchemaV1_0")


def event(
    name: str,
    *,
    container: str = "content",
    schema: str = SCHEMAS[0],
    kind: str = CREATED,
) -> dict[str, Any]:
    """Give an event of an object, as Azure's documentation shows it."""
    data = {
        "api": "PutBlockList",
        "clientRequestId": "6d79dbfb-0e37-4fc4-981f-442c9ca65760",
        "requestId": "831e1650-001e-001b-66ab-eeb76e000000",
        "eTag": "0x8D4BCC2E4835CD0",
        "contentType": "application/octet-stream",
        "contentLength": 524288,
        "blobType": "BlockBlob",
        "accessTier": "Default",
        "url": f"https://account.blob.example/{container}/{name}",
        "sequencer": "00000000000004420000000000028963",
        "storageDiagnostics": {"batchId": "b68529f3-68cd-4744-baa4-3c0498ec19f0"},
    }
    subject = f"/blobServices/default/containers/{container}/blobs/{name}"
    about = {"id": "831e1650-001e-001b-66ab-eeb76e069631", "subject": subject, "data": data}
    when = "2026-11-28T05:00:00.9584103Z"
    if schema == SCHEMAS[1]:
        return {**about, "specversion": "1.0", "source": ABOUT, "type": kind, "time": when}
    more = {"dataVersion": "", "metadataVersion": "1"}
    return {**about, "topic": ABOUT, "eventType": kind, "eventTime": when, **more}
