metadata description = 'The name of an internal Container Apps environment, for those in the network.'

param tags object

@description('Domain of the environment, below which its apps are.')
param domain string

@description('Address of its ingress.')
param address string

param networkId string

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: domain
  location: 'global'
  tags: tags

  resource apps 'A' = {
    name: '*'
    properties: {
      ttl: 300
      aRecords: [{ ipv4Address: address }]
    }
  }

  resource link 'virtualNetworkLinks' = {
    name: 'link-${uniqueString(networkId)}'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: networkId }
    }
  }
}
