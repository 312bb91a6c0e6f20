metadata description = '''
The key that the master key is wrapped with, and that signs what was wrapped, so that nobody else can put a key of theirs
there. The master key itself is made by the app, and kept beside the content.

Both are what the role Key Vault Crypto User allows. The smaller one, Crypto Service Encryption User, cannot sign; one of
our own would have to be defined in the subscription, which who deploys often may not.

A key that is there is left as it is by a deployment. What it wraps is lost with it, so the vault cannot be purged: one
that was deleted comes back, for 90 days, with recover.
'''

import { Grant } from 'roles.bicep'

param name string
param location string
param tags object
param keyName string

@description('Whether networks reach it by a private endpoint alone.')
param isPrivate bool

@description('Bring back a vault of this name that was deleted.')
param recover bool

param grants Grant[]

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    createMode: recover ? 'recover' : 'default'
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      bypass: 'None'
    }
  }

  resource key 'keys' = {
    name: keyName
    properties: {
      kty: 'RSA'
      keySize: 3072
      keyOps: ['wrapKey', 'unwrapKey', 'sign', 'verify']
    }
  }
}

resource granted 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in grants: {
    name: guid(vault.id, grant.principal, grant.role)
    scope: vault
    properties: {
      principalId: grant.principal
      principalType: grant.?kind
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
    }
  }
]

output id string = vault.id
output keyUri string = vault::key.properties.keyUri
