using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;

namespace VirtKit.Tests.Packaging;

/// <summary>The types that the code in a namespace uses: in signatures, fields, locals, instructions and as type arguments.</summary>
internal sealed class TypeUses
{
    private const BindingFlags Everything = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private readonly SortedSet<string> _found = new(StringComparer.Ordinal);
    private readonly HashSet<Type> _seen = [];
    private string _user = "";

    private TypeUses() { }

    /// <param name="assembly">The assembly.</param>
    /// <param name="inNamespace">The namespace, with those below it.</param>
    /// <returns>The uses, each as <c>User -> Namespace.Type</c>.</returns>
    public static IReadOnlyCollection<string> Of(Assembly assembly, string inNamespace)
    {
        var uses = new TypeUses();
        foreach (Type type in assembly.GetTypes())
        {
            if (IsIn(type, inNamespace))
                uses.AddOf(type);
        }

        return uses._found;
    }

    public static bool IsIn(Type type, string space) => type.Namespace is { } name && (name == space || name.StartsWith(space + ".", StringComparison.Ordinal));

    private void AddOf(Type type)
    {
        _user = type.FullName!;
        _seen.Clear();
        Add(type.BaseType);
        foreach (Type implemented in type.GetInterfaces())
            Add(implemented);
        foreach (Type parameter in type.GetGenericArguments().Where(argument => argument.IsGenericParameter))
            AddConstraints(parameter);
        foreach (FieldInfo field in type.GetFields(Everything))
            Add(field.FieldType);
        foreach (MethodBase method in type.GetMethods(Everything).Concat<MethodBase>(type.GetConstructors(Everything)))
            AddOf(type, method);
    }

    private void AddOf(Type type, MethodBase method)
    {
        AddSignature(method);
        if (method.GetMethodBody() is not { } body)
            return;
        foreach (LocalVariableInfo local in body.LocalVariables)
            Add(local.LocalType);
        Type[]? ofType = type.IsGenericType ? type.GetGenericArguments() : null, ofMethod = method.IsGenericMethod ? method.GetGenericArguments() : null;
        foreach (EntityHandle token in IlTokens.Of(body.GetILAsByteArray()!))
        {
            if (token.Kind is HandleKind.StandaloneSignature or HandleKind.UserString)
                continue;
            AddMember(type.Module.ResolveMember(MetadataTokens.GetToken(token), ofType, ofMethod));
        }
    }

    private void AddMember(MemberInfo? member)
    {
        switch (member)
        {
            case Type type:
                Add(type);
                break;
            case FieldInfo field:
                Add(field.DeclaringType);
                Add(field.FieldType);
                break;
            case MethodBase method:
                Add(method.DeclaringType);
                AddSignature(method);
                break;
        }
    }

    private void AddSignature(MethodBase method)
    {
        if (method is MethodInfo { ReturnType: var returned })
            Add(returned);
        foreach (ParameterInfo parameter in method.GetParameters())
            Add(parameter.ParameterType);
        if (!method.IsGenericMethod)
            return;
        foreach (Type argument in method.GetGenericArguments())
        {
            Add(argument);
            if (argument.IsGenericParameter)
                AddConstraints(argument);
        }
    }

    private void AddConstraints(Type parameter)
    {
        foreach (Type constraint in parameter.GetGenericParameterConstraints())
            Add(constraint);
    }

    private void Add(Type? type)
    {
        if (type is null || !_seen.Add(type))
            return;
        if (type.HasElementType)
        {
            Add(type.GetElementType());
            return;
        }

        if (type.IsFunctionPointer)
        {
            Add(type.GetFunctionPointerReturnType());
            foreach (Type parameter in type.GetFunctionPointerParameterTypes())
                Add(parameter);
            return;
        }

        if (type.IsGenericParameter)
            return;
        foreach (Type argument in type.GetGenericArguments())
            Add(argument);
        Type definition = type.IsGenericType ? type.GetGenericTypeDefinition() : type;
        _found.Add($"{_user} -> {definition.FullName}");
    }
}
