metadata description = '''
The Container Apps environment: the network, the ingress and the logs of the container. Its ingress ends a request after
four minutes; premium ingress, on two machines of its own, lets it take up to thirty.
'''

import { Domain } from 'checks.bicep'

param name string
param location string
param tags object
param identityId string
param workspaceId string

@description('Subnet for it alone; none where all is public.')
param subnetId string

@description('How many minutes a request may take.')
param requestMinutes int

@description('Custom domains, whose certificates it reads by the identity.')
param domains Domain[]

var isPrivate = !empty(subnetId)
var isPremium = requestMinutes > 4
var ingressProfile = 'ingress'

resource environment 'Microsoft.App/managedEnvironments@2025-07-01' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    appLogsConfiguration: { destination: 'azure-monitor' }
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    vnetConfiguration: isPrivate ? { infrastructureSubnetId: subnetId, internal: true } : null
    workloadProfiles: concat(
      [{ name: 'Consumption', workloadProfileType: 'Consumption' }],
      isPremium ? [{ name: ingressProfile, workloadProfileType: 'D4', minimumCount: 2, maximumCount: 2 }] : []
    )
    ingressConfiguration: isPremium
      ? {
          workloadProfileName: ingressProfile
          requestIdleTimeout: requestMinutes
          terminationGracePeriodSeconds: requestMinutes * 60
        }
      : null
  }

  resource certificates 'certificates' = [
    for domain in domains: {
      name: replace(replace(domain.name, '*', 'wildcard'), '.', '-')
      location: location
      tags: tags
      properties: {
        certificateKeyVaultProperties: {
          identity: identityId
          keyVaultUrl: 'https://${last(split(domain.vault, '/'))}${az.environment().suffixes.keyvaultDns}/secrets/${domain.certificate}'
        }
      }
    }
  ]
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'logs'
  scope: environment
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [
      { category: 'ContainerAppConsoleLogs', enabled: true }
      { category: 'ContainerAppSystemLogs', enabled: true }
    ]
  }
}

output id string = environment.id
output defaultDomain string = environment.properties.defaultDomain
output address string = environment.properties.staticIp
output verificationId string = environment.properties.customDomainConfiguration.customDomainVerificationId
output certificateIds string[] = [for (domain, index) in domains: environment::certificates[index].id]
