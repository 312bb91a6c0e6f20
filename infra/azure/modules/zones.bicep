metadata description = 'Zones in which a network looks up the private addresses of what has a private endpoint.'

param tags object

@description('Names of the zones.')
param names string[]

@description('Network that looks them up.')
param networkId string

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for name in names: {
    name: name
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (name, index) in names: {
    parent: zones[index]
    name: 'link-${uniqueString(networkId)}'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: networkId }
    }
  }
]

output group string = resourceGroup().id
