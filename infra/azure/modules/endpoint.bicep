metadata description = 'A private endpoint: one service of one resource, at an address of the network, and its name there.'

param name string
param location string
param tags object
param subnetId string

@description('Resource that is reached.')
param targetId string

@description('Which of its services: blob, queue, table, vault or sites.')
param service string

@description('Zone that holds its name.')
param zoneId string

resource endpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    privateLinkServiceConnections: [
      {
        name: name
        properties: {
          privateLinkServiceId: targetId
          groupIds: [service]
        }
      }
    ]
  }

  resource names 'privateDnsZoneGroups' = {
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: service
          properties: { privateDnsZoneId: zoneId }
        }
      ]
    }
  }
}
