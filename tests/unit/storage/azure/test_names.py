import pytest

from shared.storage.azure.account.names import account_name


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        ({"": "UseDevelopmentStorage=true"}, "devstoreaccount1"),
        ({"": "DefaultEndpointsProtocol=https;AccountName=one;AccountKey=a=="}, "one"),
        ({"": "BlobEndpoint=https://one.blob.core.windows.net;SharedAccessSignature=sv=1"}, "one"),
        ({"accountName": "one", "clientId": "id"}, "one"),
        ({"blobServiceUri": "https://one.blob.core.windows.net"}, "one"),
        ({"blobServiceUri": "https://one.z01.blob.storage.azure.net/"}, "one"),
        ({"blobServiceUri": "https://127.0.0.1:10000/one"}, "one"),
        ({"blobServiceUri": "http://emulator.namespace.svc:10000/one/"}, "one"),
        ({"": "memory"}, ""),
    ],
)
def test_an_account_has_one_name_whatever_names_it(parts: dict[str, str], name: str) -> None:
    assert account_name(parts) == name
