metadata description = 'A private endpoint: one service of one resource, at an address of the network, and its names there.'

param name string
param location string
param tags object
param subnetId string

@description('Resource that is reached.')
param targetId string

@description('Which of its services: blob, queue, table, vault, sites or azuremonitor.')
param service string

@description('Zones that hold its names.')
param zoneIds string[]

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
        for (id, index) in zoneIds: {
          name: index == 0 ? service : '${service}-${index}'
          #disable-next-line use-resource-id-functions // The linter takes a parameter, and no element of one
          properties: { privateDnsZoneId: id }
        }
      ]
    }
  }
}
